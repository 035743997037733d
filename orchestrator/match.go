package orchestrator

import (
	"patchproof/dmesg"
	"patchproof/results"
	"patchproof/workloads"
)

// matcher says what a plan makes of a kernel report.
type matcher struct {
	signatures, consequences []dmesg.Signature
	benign                   []benign
}

type benign struct {
	dmesg.Signature
	reason string
}

// newMatcher takes the plan's lists and checks each of their entries.
func newMatcher(signatures, consequences []workloads.Signature, known []workloads.Benign) (matcher, error) {
	var m matcher
	for _, s := range signatures {
		m.signatures = append(m.signatures, dmesgSignature(s))
	}
	for _, s := range consequences {
		m.consequences = append(m.consequences, dmesgSignature(s))
	}
	for _, b := range known {
		m.benign = append(m.benign, benign{dmesgSignature(b.Signature), b.Reason})
	}
	return m, m.validate()
}

func (m matcher) validate() error {
	for _, list := range [][]dmesg.Signature{m.signatures, m.consequences} {
		for _, s := range list {
			if err := s.Validate(); err != nil {
				return inputError(err)
			}
		}
	}
	for _, b := range m.benign {
		if err := b.Validate(); err != nil {
			return inputError(err)
		}
	}
	return nil
}

func dmesgSignature(s workloads.Signature) dmesg.Signature {
	return dmesg.Signature{Name: s.Name, Kind: dmesg.Kind(s.Kind), File: s.File,
		Function: s.Function, Condition: s.Condition, Title: s.Title}
}

// records attributes the reports of one run. A consequence counts as the bug
// only beside a report that is the bug: alone it can have another cause.
func (m matcher) records(reports []dmesg.Report, windows []window) []results.ReportRecord {
	records := make([]results.ReportRecord, len(reports))
	reproduced := false
	for i := range reports {
		rec := results.ReportRecord{Report: reports[i]}
		rec.Phase, rec.PhaseName = phaseAt(windows, reports[i].Start)
		rec.Signature = firstMatch(m.signatures, &reports[i])
		reproduced = reproduced || rec.Signature != ""
		if rec.Signature == "" {
			rec.Benign = m.reason(&reports[i])
		}
		records[i] = rec
	}
	for i := range records {
		if reproduced && records[i].Signature == "" {
			records[i].Signature = firstMatch(m.consequences, &records[i].Report)
		}
	}
	return records
}

func firstMatch(list []dmesg.Signature, r *dmesg.Report) string {
	for _, s := range list {
		if !s.Match(r) {
			continue
		}
		if s.Name == "" {
			return "signature"
		}
		return s.Name
	}
	return ""
}

func (m matcher) reason(r *dmesg.Report) string {
	for _, b := range m.benign {
		if b.Match(r) {
			return b.reason
		}
	}
	return ""
}
