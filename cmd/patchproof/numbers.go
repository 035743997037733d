package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"patchproof/results"
)

// number is a flag that takes a number, or a time, that is not below least. A
// zero that was given where there has to be something is then a mistake: to the
// packages below it would mean that nothing was said.
type number[T int | float64 | time.Duration] struct {
	value *T
	name  string // of the type, for the help
	parse func(string) (T, error)
	check func(T) error
}

func (n *number[T]) Type() string { return n.name }

// String is empty for a zero, which the help then does not call a default.
func (n *number[T]) String() string {
	if n.value == nil || *n.value == 0 {
		return ""
	}
	return fmt.Sprint(*n.value)
}

func (n *number[T]) Set(text string) error {
	v, err := n.parse(text)
	var number *strconv.NumError
	switch {
	case errors.As(err, &number) && errors.Is(err, strconv.ErrRange):
		return errors.New("too large")
	case errors.As(err, &number):
		return errors.New("not a number")
	case err != nil:
		return err
	}
	if err := n.check(v); err != nil {
		return err
	}
	*n.value = v
	return nil
}

// countVar adds a flag for a whole number of at least least.
func countVar(f *pflag.FlagSet, p *int, name string, least, value int, text string) {
	countVarP(f, p, name, "", least, value, text)
}

func countVarP(f *pflag.FlagSet, p *int, name, short string, least, value int, text string) {
	*p = value
	f.VarP(&number[int]{p, "int", strconv.Atoi, func(n int) error {
		if n < least {
			return fmt.Errorf("expected a whole number of at least %d", least)
		}
		return nil
	}}, name, short, text)
}

// budgetVar adds a flag for a time that something may take.
func budgetVar(f *pflag.FlagSet, p *time.Duration, text string) {
	f.Var(&number[time.Duration]{p, "duration", time.ParseDuration, func(d time.Duration) error {
		if d <= 0 {
			return errors.New("expected a time such as 90s, 20m or 1h30m")
		}
		return nil
	}}, "budget", text)
}

// ageVar adds --max-age of the commands named gc.
func ageVar(f *pflag.FlagSet, p *time.Duration, value time.Duration) {
	*p = value
	f.Var(&number[time.Duration]{p, "duration", time.ParseDuration, func(d time.Duration) error {
		if d < 0 {
			return errors.New("expected a time such as 36h, or 0 for whatever the age")
		}
		return nil
	}}, "max-age", "remove what was not used for this long; 0 goes by --max-size alone")
}

// confidenceVar adds --confidence, up to most.
func confidenceVar(f *pflag.FlagSet, p *float64, value, most float64, text string) {
	*p = value
	f.Var(&number[float64]{p, "float", parseFloat, func(c float64) error {
		switch {
		case c >= 0.5 && c <= most:
			return nil
		case c > 1 && c < 100:
			return fmt.Errorf("expected a number from 0.5 to %v; %v%% is %v", most, c, c/100)
		}
		return fmt.Errorf("expected a number from 0.5 to %v", most)
	}}, "confidence", text)
}

// gainVar adds --min-gain.
func gainVar(f *pflag.FlagSet, p *float64, value float64, text string) {
	*p = value
	f.Var(&number[float64]{p, "float", parseFloat, func(gain float64) error {
		if gain >= 1 && gain <= 1e6 {
			return nil
		}
		return errors.New("expected a number of at least 1, such as 2")
	}}, "min-gain", text)
}

func parseFloat(s string) (float64, error) { return strconv.ParseFloat(s, 64) }

// tester is --tested-by: a wrong one is found before the first run, and not
// after the last.
type tester string

func (t *tester) String() string { return string(*t) }
func (t *tester) Type() string   { return "string" }
func (t *tester) Set(text string) error {
	*t = tester(text)
	return results.CheckTestedBy(text)
}

func testerVar(f *pflag.FlagSet, p *string) {
	f.Var((*tester)(p), "tested-by", "put a Tested-by line for 'NAME <EMAIL>' into the report")
}
