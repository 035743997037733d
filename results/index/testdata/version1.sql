-- An index as version 1 left it: one campaign that is still there, with a run
-- that has no column for how far it got, and one whose folder is gone.
CREATE TABLE folders (folder TEXT PRIMARY KEY, stamp TEXT NOT NULL, open TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE campaigns (
	folder TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, workload TEXT NOT NULL,
	shape TEXT NOT NULL, accel TEXT NOT NULL, pre TEXT NOT NULL, post TEXT NOT NULL,
	started INTEGER NOT NULL, elapsed REAL NOT NULL, ended INTEGER NOT NULL,
	verdict TEXT NOT NULL, confidence REAL NOT NULL, stopped TEXT NOT NULL, failed TEXT NOT NULL, perturbed INTEGER NOT NULL,
	reproduced INTEGER NOT NULL DEFAULT 0, clean INTEGER NOT NULL DEFAULT 0, other_failure INTEGER NOT NULL DEFAULT 0, invalid INTEGER NOT NULL DEFAULT 0,
	open INTEGER NOT NULL DEFAULT 0, cells INTEGER NOT NULL, bad_cells INTEGER NOT NULL DEFAULT 0, good_cells INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX campaigns_started ON campaigns (started);
CREATE TABLE runs (
	folder TEXT NOT NULL, path TEXT NOT NULL, id TEXT NOT NULL, side TEXT NOT NULL, cell TEXT NOT NULL, commit_id TEXT NOT NULL,
	kernel TEXT NOT NULL, kernel_sha TEXT NOT NULL, started INTEGER NOT NULL, elapsed REAL NOT NULL,
	outcome TEXT NOT NULL, counted INTEGER NOT NULL, ended INTEGER NOT NULL, PRIMARY KEY (folder, path)
) WITHOUT ROWID;
CREATE TABLE events (
	folder TEXT NOT NULL, path TEXT NOT NULL, fingerprint TEXT NOT NULL, title TEXT NOT NULL, kind TEXT NOT NULL,
	severity TEXT NOT NULL, signature INTEGER NOT NULL, PRIMARY KEY (folder, path, fingerprint)
) WITHOUT ROWID;
CREATE INDEX events_fingerprint ON events (fingerprint);
INSERT INTO folders VALUES ('20261125T190000Z-nightly-aaaaaa', '1:1 - - 1:0 ', ''), ('gone', '1:1 - - 1:0 ', 'run/001');
INSERT INTO campaigns VALUES
	('20261125T190000Z-nightly-aaaaaa', 'matrix', 'nightly', 'nightly', '', '', '', '', 1795633200000000000, 100, 1, 'failing', 0, '', '', 0, 1, 0, 0, 0, 0, 2, 1, 0),
	('gone', 'matrix', 'nightly', 'nightly', '', '', '', '', 1, 100, 1, 'passing', 0, '', '', 0, 0, 0, 0, 0, 1, 1, 0, 0);
INSERT INTO runs VALUES
	('20261125T190000Z-nightly-aaaaaa', 'run/006', 'run-006', 'run', 'compress=zlib', '', 'kernel k1', 'k1', 1795633560000000000, 16, 'reproduced', 1, 1),
	('gone', 'run/001', 'run-001', 'run', 'x', '', '', '', 1, 1, 'invalid', 0, 0);
INSERT INTO events VALUES ('20261125T190000Z-nightly-aaaaaa', 'run/006', 'btrfs_destroy_inode', 'an old title', 'WARNING', 'medium', 1);
PRAGMA application_id = 1885434992;
PRAGMA user_version = 1;
