package pebble_test

import (
	"testing"

	"github.com/mortise-dev/mortise/internal/pebblefs/pebblefstest"
)

func TestFailsInTheBackground(t *testing.T) { pebblefstest.FailsInTheBackground(t, subject) }

func TestDamageFoundInTheBackground(t *testing.T) {
	pebblefstest.DamageFoundInTheBackground(t, subject)
}
