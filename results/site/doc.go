// Package site turns a folder of results into a web site: an index of
// campaigns, a page for each campaign, for each cell of a matrix and for each
// run, with the console log.
//
// The pages need no network and no JavaScript; scripts add filters and, in the
// live server of package live, updates. They are drawn from the run folders and
// the index beside them, by Render, one path at a time: Write puts all of them
// into a folder, the live server draws each when it is asked for.
//
// Text from guests is untrusted. html/template escapes it, what could steer a
// reader's eye (control and bidirectional characters) is replaced in every
// page, and a Content-Security-Policy forbids everything but the site's own
// script and style sheet.
package site
