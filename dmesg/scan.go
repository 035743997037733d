package dmesg

// scanner finds a small fixed set of byte strings in one pass. It is an
// Aho-Corasick automaton flattened to a table with a row of 256 for each state,
// so that a line that holds none of the strings, which is nearly every line of
// nearly every log, costs one table look-up a byte.
//
// States in which a string ends have the highest numbers, so that one
// comparison tells them.
type scanner struct {
	next   []uint16 // state*256 + byte -> state
	hits   []uint64 // state -> set of strings that end here or at a suffix
	ending int      // the first state in which a string ends
}

// newScanner builds the automaton; bit i of a scan's result stands for
// words[i]. There can be at most 64 words.
func newScanner(words []string) *scanner {
	if len(words) > 64 {
		panic("dmesg: more than 64 trigger strings")
	}
	s := &scanner{}
	s.addState()
	for bit, word := range words {
		state := uint16(0)
		for i := 0; i < len(word); i++ {
			cell := int(state)*256 + int(word[i])
			if s.next[cell] == 0 {
				s.next[cell] = s.addState()
			}
			state = s.next[cell]
		}
		s.hits[state] |= 1 << bit
	}
	s.link()
	s.renumber()
	return s
}

// renumber moves the states with hits to the end.
func (s *scanner) renumber() {
	number := make([]uint16, len(s.hits))
	n := 0
	for _, ending := range []bool{false, true} {
		if ending {
			s.ending = n
		}
		for state, hits := range s.hits {
			if (hits != 0) == ending {
				number[state] = uint16(n)
				n++
			}
		}
	}
	next, hits := make([]uint16, len(s.next)), make([]uint64, len(s.hits))
	for state := range s.hits {
		to := int(number[state])
		hits[to] = s.hits[state]
		for c := range 256 {
			next[to*256+c] = number[s.next[state*256+c]]
		}
	}
	s.next, s.hits = next, hits
}

func (s *scanner) addState() uint16 {
	s.next = append(s.next, make([]uint16, 256)...)
	s.hits = append(s.hits, 0)
	return uint16(len(s.hits) - 1)
}

// link fills the missing transitions breadth first: where a state has no child
// for a byte, the automaton goes where the longest proper suffix would go.
func (s *scanner) link() {
	suffix := make([]uint16, len(s.hits))
	var queue []uint16
	for c := 0; c < 256; c++ {
		if child := s.next[c]; child != 0 {
			queue = append(queue, child)
		}
	}
	for len(queue) > 0 {
		state := queue[0]
		queue = queue[1:]
		s.hits[state] |= s.hits[suffix[state]]
		for c := 0; c < 256; c++ {
			cell, back := int(state)*256+c, s.next[int(suffix[state])*256+c]
			if child := s.next[cell]; child != 0 {
				suffix[child] = back
				queue = append(queue, child)
			} else {
				s.next[cell] = back
			}
		}
	}
}

// scan returns the set of words that occur in b.
func (s *scanner) scan(b []byte) uint64 {
	var found uint64
	state, next, ending := 0, s.next, s.ending
	for _, c := range b {
		state = int(next[state<<8|int(c)])
		if state >= ending {
			found |= s.hits[state]
		}
	}
	return found
}
