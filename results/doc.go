// Package results holds the record of runs and campaigns, their store on disk,
// the reporters that turn them into text, JSON, JUnit XML, KCIDB JSON and
// Markdown, and the comparison of campaigns.
//
// A campaign is a folder:
//
//	campaign.json     who, what, where: command line, kernels, host, rules
//	plan.yaml         the plan as expanded
//	pre/001/          one folder a run
//	    run.jsonl     one event a line, appended as things are learned
//	    run.json      the finished run, once it has ended
//	    console.log   the guest's console, byte for byte, written by vm
//	post/001/
//	run/001/          a run of a matrix or a bisection
//
// The folders are the truth: Load reads them back, and Recompute draws the
// verdict again from what they hold. A crash of the harness costs at most the
// line that was being written.
package results
