package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	fileName = "index.db"
	lockName = "index.lock"
	// busyTimeout is how long to wait for another process, in milliseconds.
	busyTimeout = 10_000
)

// Index is an open index; safe for use by several goroutines.
type Index struct {
	dir   string // the results folder
	mu    sync.Mutex
	db    *sql.DB
	lock  *os.File // held shared while the file is open; nil with a database in memory
	notes []string
}

// Open opens the index of a results folder, makes or repairs it when it has to,
// and brings it up to date. A folder that cannot be written, or a database that
// a newer patchproof made, costs time and no more: the index is then kept in
// memory, and Notes says so. The error is a *FolderError when there is no such
// folder.
func Open(ctx context.Context, resultsDir string) (*Index, error) {
	if info, err := os.Stat(resultsDir); err != nil {
		return nil, &FolderError{err}
	} else if !info.IsDir() {
		return nil, &FolderError{fmt.Errorf("%s is not a folder", resultsDir)}
	}
	x := &Index{dir: resultsDir}
	if err := x.openFile(ctx); err != nil {
		if err := x.repair(ctx, err); err != nil {
			return nil, err
		}
	}
	if err := x.Refresh(ctx); err != nil {
		x.Close() // the error of Refresh says more
		return nil, err
	}
	return x, nil
}

// FolderError says that there is no results folder where one was looked for.
type FolderError struct{ Err error }

func (e *FolderError) Error() string {
	return fmt.Sprintf("results folder: %v: no campaign has been run yet, or another folder is meant", e.Err)
}

// Unwrap returns the cause.
func (e *FolderError) Unwrap() error { return e.Err }

// Close closes the database.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.close()
}

func (x *Index) close() error {
	var err error
	if x.db != nil {
		err = x.db.Close()
	}
	if x.lock != nil {
		x.lock.Close() // gives the lock back; nothing was written to it
	}
	x.db, x.lock = nil, nil
	return err
}

// Notes returns what is worth telling about the index, such as that it had to be
// built anew.
func (x *Index) Notes() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return append([]string(nil), x.notes...)
}

func (x *Index) note(format string, args ...any) {
	x.notes = append(x.notes, fmt.Sprintf(format, args...))
}

// openFile opens index.db and migrates it. While it is open the lock file is
// locked shared: removing a database that somebody has open is not safe, because
// SQLite finds its journal by name.
func (x *Index) openFile(ctx context.Context) error {
	lock, err := os.OpenFile(filepath.Join(x.dir, lockName), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	if err := lockFile(ctx, lock, unix.LOCK_SH); err != nil {
		lock.Close()
		return err
	}
	x.lock = lock
	// in a URL, the first part of a relative path would be a host
	path, err := filepath.Abs(filepath.Join(x.dir, fileName))
	if err != nil {
		x.close() // the first error says more
		return err
	}
	name := url.URL{Scheme: "file", Path: path,
		RawQuery: fmt.Sprintf("_txlock=immediate&_busy_timeout=%d&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)", busyTimeout)}
	if err := x.connect(ctx, name.String()); err != nil {
		x.close() // the first error says more
		return err
	}
	return nil
}

// connect opens a database. One connection is enough: every query takes
// milliseconds and reads all of its rows at once.
func (x *Index) connect(ctx context.Context, name string) error {
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	x.db = db
	// Turning on WAL in a new file does not wait for another process that does
	// the same.
	deadline := time.Now().Add(busyTimeout * time.Millisecond)
	for {
		err = migrate(ctx, db)
		if !hasCode(err, sqlite3.SQLITE_BUSY) || time.Now().After(deadline) {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// repair makes the best of an index that could not be used because of err: a
// damaged one is thrown away and built anew; otherwise, or if others are using
// it, this process works in memory.
func (x *Index) repair(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	x.close() // it is of no use any more
	if isDamage(err) {
		if err = x.removeFile(ctx); err == nil {
			if err = x.openFile(ctx); err == nil {
				x.note("%s was damaged and has been built anew", filepath.Join(x.dir, fileName))
				return nil
			}
		}
	}
	x.note("%s cannot be used (%v): all folders are read instead, which takes longer", filepath.Join(x.dir, fileName), err)
	return x.connect(ctx, ":memory:")
}

// removeFile removes the database when no other process has it open.
func (x *Index) removeFile(ctx context.Context) error {
	lock, err := os.OpenFile(filepath.Join(x.dir, lockName), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := lockFile(ctx, lock, unix.LOCK_EX); err != nil {
		return fmt.Errorf("damaged, and in use by another process: %w", err)
	}
	path := filepath.Join(x.dir, fileName)
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// lockFile waits a little for the lock; a file system without locks is taken as
// one that nobody else uses.
func lockFile(ctx context.Context, f *os.File, how int) error {
	deadline := time.Now().Add(time.Second)
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		switch {
		case err == nil || errors.Is(err, unix.ENOLCK) || errors.Is(err, unix.EOPNOTSUPP):
			return nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) || time.Now().After(deadline):
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(20 * time.Millisecond):
		return nil
	}
}

// hasCode reports whether err is one of SQLite with the primary result code.
func hasCode(err error, code int) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == code
}

// isDamage reports whether err says that the file is no sound database: also
// tables that are missing from one that has the right version.
func isDamage(err error) bool {
	return hasCode(err, sqlite3.SQLITE_CORRUPT) || hasCode(err, sqlite3.SQLITE_NOTADB) ||
		hasCode(err, sqlite3.SQLITE_ERROR) && strings.Contains(err.Error(), "no such ")
}

// use runs f on the database, and once more on a new one when the old one turns
// out to be damaged.
func (x *Index) use(ctx context.Context, f func(db *sql.DB) error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.db == nil {
		return errors.New("the index is closed")
	}
	err := f(x.db)
	if err == nil || !isDamage(err) || ctx.Err() != nil {
		return explain(err)
	}
	if err := x.repair(ctx, err); err != nil {
		return explain(err)
	}
	if err := x.refresh(ctx); err != nil {
		return explain(err)
	}
	return explain(f(x.db))
}

func explain(err error) error {
	var e *sqlite.Error
	switch {
	case err == nil || !errors.As(err, &e):
		return err
	case hasCode(err, sqlite3.SQLITE_FULL), hasCode(err, sqlite3.SQLITE_IOERR):
		return fmt.Errorf("index of the results: %w; is there space left?", err)
	}
	return fmt.Errorf("index of the results: %w", err)
}
