package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// applicationID marks a database as one of this package, in SQLite's header.
const applicationID = 0x70617470

// migrations[i] brings a database from version i to version i+1. What has been
// released is not edited any more: add a step.
//
// A step that adds what only the folders know empties runs and the stamps, so
// that everything is read again.
var migrations = [...]string{
	`CREATE TABLE folders (
		folder TEXT PRIMARY KEY,
		stamp  TEXT NOT NULL, -- of the files as they were when read; '' = read again
		open   TEXT NOT NULL  -- paths of the runs that had no end, one a line
	) WITHOUT ROWID;
	CREATE TABLE campaigns (
		folder TEXT PRIMARY KEY,
		kind TEXT NOT NULL, name TEXT NOT NULL, workload TEXT NOT NULL,
		shape TEXT NOT NULL, accel TEXT NOT NULL, pre TEXT NOT NULL, post TEXT NOT NULL,
		started INTEGER NOT NULL, -- nanoseconds since 1970
		elapsed REAL NOT NULL, ended INTEGER NOT NULL,
		verdict TEXT NOT NULL, confidence REAL NOT NULL,
		stopped TEXT NOT NULL, failed TEXT NOT NULL, perturbed INTEGER NOT NULL,
		reproduced INTEGER NOT NULL DEFAULT 0, clean INTEGER NOT NULL DEFAULT 0,
		other_failure INTEGER NOT NULL DEFAULT 0, invalid INTEGER NOT NULL DEFAULT 0,
		open INTEGER NOT NULL DEFAULT 0,
		cells INTEGER NOT NULL, bad_cells INTEGER NOT NULL DEFAULT 0, good_cells INTEGER NOT NULL DEFAULT 0
	) WITHOUT ROWID;
	CREATE INDEX campaigns_started ON campaigns (started);
	CREATE TABLE runs (
		folder TEXT NOT NULL, path TEXT NOT NULL, id TEXT NOT NULL,
		side TEXT NOT NULL, cell TEXT NOT NULL, commit_id TEXT NOT NULL,
		kernel TEXT NOT NULL, kernel_sha TEXT NOT NULL,
		started INTEGER NOT NULL, elapsed REAL NOT NULL,
		outcome TEXT NOT NULL, counted INTEGER NOT NULL, ended INTEGER NOT NULL,
		PRIMARY KEY (folder, path)
	) WITHOUT ROWID;
	CREATE TABLE events (
		folder TEXT NOT NULL, path TEXT NOT NULL, fingerprint TEXT NOT NULL,
		title TEXT NOT NULL, kind TEXT NOT NULL, severity TEXT NOT NULL, signature INTEGER NOT NULL,
		PRIMARY KEY (folder, path, fingerprint)
	) WITHOUT ROWID;
	CREATE INDEX events_fingerprint ON events (fingerprint);`,

	// What was skipped, why a run does not count, and how far runs got: a run
	// that ended before a phase was not able to show what comes in that phase.
	`CREATE TABLE problems (
		folder TEXT NOT NULL, path TEXT NOT NULL, reason TEXT NOT NULL,
		PRIMARY KEY (folder, path)
	) WITHOUT ROWID;
	ALTER TABLE runs ADD COLUMN reached INTEGER NOT NULL DEFAULT -1;
	ALTER TABLE runs ADD COLUMN reason TEXT NOT NULL DEFAULT '';
	ALTER TABLE events ADD COLUMN phase INTEGER NOT NULL DEFAULT -1;
	DELETE FROM events;
	DELETE FROM runs;
	UPDATE folders SET stamp = '';`,

	// In what guests runs were: rates of different ones do not compare.
	`ALTER TABLE runs ADD COLUMN guests TEXT NOT NULL DEFAULT '';
	CREATE INDEX runs_cell ON runs (cell);
	DELETE FROM events;
	DELETE FROM runs;
	UPDATE folders SET stamp = '';`,

	// What a run broke off in it did not get to the end of. And single runs no
	// longer pass when one was invalid or stopped.
	`ALTER TABLE runs RENAME COLUMN reached TO passed;
	DELETE FROM events;
	DELETE FROM runs;
	UPDATE folders SET stamp = '';`,

	// What a run could not have shown because of what came before it, and which
	// campaigns (their IDs as JSON) a campaign was put together from. And a matrix
	// no longer passes when its cells lack runs.
	`ALTER TABLE runs ADD COLUMN follow_ups TEXT NOT NULL DEFAULT '';
	ALTER TABLE runs ADD COLUMN silent TEXT NOT NULL DEFAULT '';
	ALTER TABLE campaigns ADD COLUMN merged TEXT NOT NULL DEFAULT '[]';
	DELETE FROM events;
	DELETE FROM runs;
	UPDATE folders SET stamp = '';`,
}

var (
	errNewer   = errors.New("it was made by a newer patchproof")
	errForeign = errors.New("it is not an index of patchproof")
)

// migrate brings the database to the newest version, each step in a transaction
// of its own.
func migrate(ctx context.Context, db *sql.DB) error {
	for {
		done, err := migrateStep(ctx, db)
		if done || err != nil {
			return err
		}
	}
}

func migrateStep(ctx context.Context, db *sql.DB) (done bool, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer tx.Rollback() // does nothing after Commit
	// The version is read within the transaction: another process may be
	// migrating too.
	var version, owner, tables int
	if err := tx.QueryRowContext(ctx, `SELECT (SELECT user_version FROM pragma_user_version),
		(SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_schema)`).Scan(&version, &owner, &tables); err != nil {
		return false, err
	}
	switch {
	case tables > 0 && owner != applicationID:
		return false, errForeign
	case version > len(migrations):
		return false, errNewer
	case version == len(migrations):
		return true, nil
	}
	if _, err := tx.ExecContext(ctx, migrations[version]); err != nil {
		return false, fmt.Errorf("migrate from version %d: %w", version, err)
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, version+1)); err != nil {
		return false, err
	}
	return false, tx.Commit()
}
