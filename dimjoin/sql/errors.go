package sql

import (
	"fmt"
	"strings"

	"github.com/mortise-dev/mortise/dimjoin"
)

// clean is an error whose text has no secrets.
type clean struct {
	error
	text string
}

// Error implements error.
func (c *clean) Error() string { return c.text }

// Unwrap returns what is behind it, for errors.Is and As.
func (c *clean) Unwrap() error { return c.error }

// fail says what could not be done, and with which table, without the DSN.
func (t *Table) fail(doing string, err error) error {
	text := err.Error()
	for _, secret := range t.secrets {
		if len(secret) > 0 {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return fmt.Errorf("%s the dimension %s in table %s: %w", doing, t.def.Name, t.def.Store.SQL.Table, &clean{err, text})
}

// reached tells that the database did not answer from what it has answered.
func (t *Table) reached(err error) error {
	if t.dialect.isAnswer(err) {
		return err
	}
	return fmt.Errorf("%w: %w", dimjoin.ErrUnreachable, err)
}
