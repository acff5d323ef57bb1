package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/twmb/franz-go/pkg/sr"

	mortise "github.com/mortise-dev/mortise"
)

// Registered is a schema's place in the registry.
type Registered struct {
	Subject string
	Version int
	Number  mortise.SchemaID
	GUID    mortise.SchemaID // the zero value where the registry has none
}

// IncompatibleError says that the registry does not take a schema beside the ones
// that a subject has.
type IncompatibleError struct {
	Subject string
	Version int    // the subject's latest; 0 when it cannot be told
	Level   string // its compatibility; empty when it cannot be told
	Reason  string // as the registry says it
}

// Error names the subject, its latest version, and the ways out.
func (e *IncompatibleError) Error() string {
	level := e.Level
	if level == "" {
		level = "its compatibility"
	}
	return fmt.Sprintf("subject %s: the schema does not fit version %d under %s: %s: "+
		"make columns that are added nullable and keep the types of those that stay, "+
		"give the instances a new topic or another output.topic.subject, or change the subject's compatibility if every reader can take the change",
		e.Subject, e.Version, level, e.Reason)
}

// Register registers a schema under a subject, which changes nothing where it is
// registered already. Errors: *IncompatibleError, *Error.
func (r *Registry) Register(ctx context.Context, subject string, ws *mortise.WriterSchema) (*Registered, error) {
	s, err := schemaOf(ws)
	if err != nil {
		return nil, err
	}
	err = r.retry(ctx, "registering a schema under subject "+subject, func(ctx context.Context) error {
		_, err := r.client.RegisterSchema(ctx, subject, s, -1, -1)
		return err
	})
	var answer *sr.ResponseError
	if errors.As(err, &answer) && answer.StatusCode == http.StatusConflict {
		return nil, r.incompatible(ctx, subject, answer.Message)
	}
	if err != nil {
		return nil, err
	}
	return r.Lookup(ctx, subject, ws)
}

func schemaOf(ws *mortise.WriterSchema) (s sr.Schema, err error) {
	s.Schema = ws.Text
	err = s.Type.UnmarshalText([]byte(ws.Type))
	return s, err
}

// incompatible finds out what a schema does not fit.
func (r *Registry) incompatible(ctx context.Context, subject, reason string) error {
	e := &IncompatibleError{Subject: subject, Reason: reason}
	if latest, err := r.client.SchemaByVersion(ctx, subject, -1); err == nil {
		e.Version = latest.Version
	}
	for _, name := range []string{subject, sr.GlobalSubject} {
		if got := r.client.Compatibility(ctx, name); e.Level == "" && len(got) == 1 && got[0].Err == nil {
			e.Level = got[0].Level.String()
		}
	}
	return e
}

// MissingError says that a schema is to be registered already and is not.
type MissingError struct{ Subject string }

// Error names the subject and what to do.
func (e *MissingError) Error() string {
	return fmt.Sprintf("subject %s does not have the schema of the instances: register what `mortise schema FILE --format` prints, or write register: true in output.topic", e.Subject)
}

// Lookup finds a schema among those of a subject. Errors: *MissingError, *Error.
func (r *Registry) Lookup(ctx context.Context, subject string, ws *mortise.WriterSchema) (*Registered, error) {
	s, err := schemaOf(ws)
	if err != nil {
		return nil, err
	}
	var found sr.SubjectSchema
	err = r.retry(ctx, "looking up a schema under subject "+subject, func(ctx context.Context) (err error) {
		found, err = r.client.LookupSchema(ctx, subject, s)
		return err
	})
	if isUnknown(err) {
		return nil, &MissingError{subject}
	}
	if err != nil {
		return nil, err
	}
	reg := &Registered{Subject: subject, Version: found.Version, Number: mortise.SchemaNumber(uint32(found.ID))}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.schemas[reg.Number] = ws
	if guid, ok := mortise.SchemaGUID(found.GUID); ok {
		reg.GUID = guid
		r.schemas[guid] = ws
	}
	return reg, nil
}

// Place implements experiments.Registry.
func (r *Registry) Place(ctx context.Context, subject string, ws *mortise.WriterSchema, register bool) (number, guid mortise.SchemaID, err error) {
	find := r.Lookup
	if register {
		find = r.Register
	}
	reg, err := find(ctx, subject, ws)
	if err != nil {
		return number, guid, err
	}
	return reg.Number, reg.GUID, nil
}

// Latest implements experiments.Registry.
func (r *Registry) Latest(ctx context.Context, subject string) (ws *mortise.WriterSchema, number mortise.SchemaID, err error) {
	var found sr.SubjectSchema
	err = r.retry(ctx, "asking for the latest schema of subject "+subject, func(ctx context.Context) (err error) {
		if found, err = r.client.SchemaByVersion(ctx, subject, -1); err != nil {
			return err
		}
		ws, err = r.resolve(ctx, &found.Schema)
		return err
	})
	if isUnknown(err) {
		return nil, number, nil
	}
	return ws, mortise.SchemaNumber(uint32(found.ID)), err
}
