package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
)

// Error says that the schema registry could not be used, and what to check.
type Error struct {
	URLs   []string
	Doing  string
	Advice string
	Err    error
}

// Error names the registry, what was asked of it, the cause and the advice.
func (e *Error) Error() string {
	return fmt.Sprintf("schema registry at %s: %s: %v: %s", strings.Join(e.URLs, ", "), e.Doing, e.Err, e.Advice)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
	// tellEvery is how often an outage is logged.
	tellEvery = 30 * time.Second
)

// retry does what asks the registry until it answers, the answer is one that
// asking again does not change, or the time is up.
func (r *Registry) retry(ctx context.Context, doing string, ask func(context.Context) error) error {
	began, told := time.Now(), time.Time{}
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := ask(ctx)
		if err == nil || !isOutage(err) {
			r.answered(began, told)
			return r.explain(doing, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(began) > r.opts.OutageTimeout {
			return &Error{r.opts.URLs, doing, fmt.Sprintf("it has not answered for %s: see whether it runs there, and whether this machine reaches it", r.opts.OutageTimeout), err}
		}
		r.wait(began, err)
		if time.Since(told) > tellEvery {
			told = time.Now()
			r.opts.Log.Warn("the schema registry does not answer; what needs it waits", "url", r.opts.URLs, "doing", doing, "since", began.UTC().Format(time.RFC3339), "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

func (r *Registry) wait(since time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = Waiting{since, err.Error()}
}

func (r *Registry) answered(began, told time.Time) {
	r.mu.Lock()
	r.waiting = Waiting{}
	r.mu.Unlock()
	if !told.IsZero() {
		r.opts.Log.Info("the schema registry answers again", "url", r.opts.URLs, "after", time.Since(began).Round(time.Millisecond))
	}
}

// isOutage reports whether an error may be over when the registry is asked again.
func isOutage(err error) bool {
	var answer *sr.ResponseError
	if !errors.As(err, &answer) {
		return true // no answer at all
	}
	return answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode == http.StatusRequestTimeout
}

// isUnknown reports whether the registry says that it does not have what was
// asked for: by its own error codes, since any wrong URL answers 404.
func isUnknown(err error) bool {
	var answer *sr.ResponseError
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound && answer.ErrorCode/100 == http.StatusNotFound
}

// explain adds what to check to an answer that is an error.
func (r *Registry) explain(doing string, err error) error {
	var answer *sr.ResponseError
	if err == nil || isUnknown(err) || !errors.As(err, &answer) {
		return err
	}
	advice := "its log says more"
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		advice = "see whether username and password, or the token, in kafka.schema_registry are right and may read and write this"
	case http.StatusNotFound:
		advice = "see whether the URL is that of a schema registry; GUIDs, in records' headers, are known to Confluent Platform 8 and later"
	case http.StatusUnprocessableEntity:
		advice = "the registry does not take the schema"
	}
	return &Error{r.opts.URLs, doing, advice, err}
}
