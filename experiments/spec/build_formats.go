package spec

import (
	"net/url"
	"os"
	"strings"

	"github.com/mortise-dev/mortise/joiner/clean/schema"
)

// registry reads how the schema registry is reached.
func (l *loader) registry(n *node) SchemaRegistry {
	if n == nil {
		return SchemaRegistry{}
	}
	r := SchemaRegistry{
		URLs:     n.get("url").strings(),
		Username: n.get("username").string(""),
		Password: n.get("password").string(""),
		Token:    n.get("token").string(""),
		TLS:      l.tls(n.get("tls")),
	}
	secure := false
	for _, item := range n.get("url").texts() {
		u, err := url.Parse(item.text)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			l.fail(item.at, BadValue, "url takes addresses such as http://HOST:8081, not %s", item.quoted())
			continue
		}
		secure = secure || u.Scheme == "https"
		if u.User != nil {
			item.hide()
			l.fail(item.at, Conflict, "a URL with user and password in it would show them in every message").Help = "write username and password beside it"
		}
	}
	switch {
	case n.has("username") != n.has("password"):
		l.fail(n.at, Conflict, "schema_registry needs username and password together")
	case n.has("token") && n.has("username"):
		l.fail(n.find("token").at, Conflict, "schema_registry has a token, and a user and password").Help = "remove one of them"
	case !secure && n.whole("url") && (r.Password != "" || r.Token != ""):
		l.warn(n.find("url").at, Insecure, "credentials over http are sent in clear text").Help = "use an https URL"
	case !secure && n.whole("url") && r.TLS.Enabled:
		l.fail(n.find("tls").at, Conflict, "tls is for an https URL").Help = "write https:// in the URL, or remove it"
	}
	return r
}

// sourceFormat reads how a source's records are encoded, and checks their schema
// where it is at hand.
func (l *loader) sourceFormat(n *node, s *Source, fieldsWhole bool) {
	file, message := n.get("schema_file"), n.get("message")
	switch {
	case n.has("format") && n.get("format") == nil:
	case s.Format == "json" && n.has("schema_file"):
		l.fail(n.find("schema_file").at, Conflict, "JSON records are read without a schema").Help = "write format: avro or protobuf, or remove it"
	case n.has("message") && s.Format != "protobuf":
		l.fail(n.find("message").at, Conflict, "only a Protobuf schema has messages to choose from").Help = "remove it"
	case n.has("message") && !n.has("schema_file"):
		l.fail(n.find("message").at, Conflict, "records with a schema id say themselves which message they are").Help = "remove it, or add schema_file for records without an id"
	case s.Format != "json" && !n.has("schema_file"):
		l.needRegistry(n.get("format"), "the records of `"+s.Name+"` name their schemas by id", "for records without an id, add schema_file")
	case file != nil:
		s.Message = message.string("")
		l.schemaFile(n, file, s, fieldsWhole)
	}
}

// needRegistry reports that there are brokers but no registry. Without brokers in
// the file both come from the command line.
func (l *loader) needRegistry(at *node, why, or string) {
	if k := &l.exp.Kafka; len(k.SeedBrokers) > 0 && len(k.SchemaRegistry.URLs) == 0 && !l.registryFaulty {
		l.fail(at.at, MissingKey, "%s, and kafka has no `schema_registry`", why).Help = "add schema_registry: {url: http://HOST:8081} to kafka; " + or
	}
}

// schemaFile reads a source's schema_file and holds the declared fields against it.
func (l *loader) schemaFile(n, file *node, s *Source, fieldsWhole bool) {
	s.SchemaFile = file.text
	text, err := os.ReadFile(file.text)
	if err != nil {
		if !l.opts.NoEnvironment {
			l.fail(file.at, BadFile, "schema_file cannot be read: %s", reason(err))
		}
		return
	}
	s.SchemaText = string(text)
	format, err := schema.NewPlain(s.Format, s.SchemaText, s.Message)
	if err != nil {
		at := file
		if n.has("message") {
			at = n.get("message")
		}
		l.fail(at.at, BadFile, "the schema cannot be used: %s", strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	if !fieldsWhole {
		return
	}
	for i := range n.get("fields").entries {
		e := &n.get("fields").entries[i]
		at := s.Fields.Index(e.key)
		if found := format.Find(s.Fields[at], s.From[e.key]); found != "" {
			l.fail(e.at, TypeMismatch, "the field `%s` is declared %s; the schema has %s", e.key, s.Fields[at].Type, found)
		}
	}
}

// outputFormat reads how instances are encoded.
func (l *loader) outputFormat(n *node) {
	o := &l.exp.Output
	o.Format = n.get("format").string("json")
	o.SchemaID = n.get("schema_id").string("prefix")
	o.Subject = n.get("subject").string(o.Topic + "-value")
	o.Register = n.get("register").bool(true)
	if n.has("format") && n.get("format") == nil {
		return
	}
	if o.Format != "avro" && o.Format != "protobuf" {
		unused := map[string]bool{"schema_id": o.SchemaID != "prefix", "subject": n.has("subject"), "register": !o.Register}
		for _, name := range []string{"schema_id", "subject", "register"} {
			if e := n.find(name); e != nil && unused[name] {
				l.fail(e.at, Conflict, "`%s` is for avro and protobuf; %s instances have no schema to register", name, o.Format).Help = "remove it"
			}
		}
		return
	}
	if o.SchemaID != "none" {
		l.needRegistry(n.get("format"), o.Format+" instances carry the id of their schema", "or write schema_id: none")
		return
	}
	for _, name := range []string{"subject", "register"} {
		if e := n.find(name); e != nil && (name == "subject" || !o.Register) {
			l.fail(e.at, Conflict, "with schema_id: none nothing is registered").Help = "remove it"
		}
	}
}
