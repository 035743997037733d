package judge

// NextSide returns the side that the next run belongs to, given the sides of the
// runs so far. Pass the runs that were started and have not turned out invalid.
//
// Runs form pairs, one of each side, and every second pair has its order turned
// round: pre post, post pre, pre post (ABBA). A host that slowly changes then
// weighs equally on both sides. A run lost as invalid is made up for at once,
// which keeps partners close in time. No side gets ahead by more than the runs
// that are in flight, and none is favoured when it "still needs" runs: a
// verdict rests on pairs.
func NextSide(started []Side) Side {
	pre, post := 0, 0
	for _, s := range started {
		switch s {
		case Pre:
			pre++
		case Post:
			post++
		}
	}
	switch {
	case pre < post:
		return Pre
	case post < pre:
		return Post
	case pre%2 == 0:
		return Pre
	default:
		return Post
	}
}
