package dimensions_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/dimensions"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/internal/redistest"
)

// TestRedisOverTLS fills and reads a Redis that wants a certificate, with the files
// that the experiment names, and tells what is wrong with others.
func TestRedisOverTLS(t *testing.T) {
	server, certs := redistest.StartTLS(t)
	store := func(tls string) *spec.Experiment {
		t.Helper()
		text := strings.NewReplacer("NAME", "secure", "DIM", "catalog", "ASOF", "emission", "WHERE", "", "EXTRA", "", "SELECT", "",
			"['h:1']", "['"+server.Addr+"']", "prefix: items", "prefix: items, tls: "+tls).Replace(many)
		e, diags := spec.Parse("secure.yaml", []byte(text), spec.LoadOptions{})
		if e == nil {
			t.Fatal(diags)
		}
		return e
	}
	e := store(fmt.Sprintf("{enabled: true, root_cas_file: %s, cert_file: %s, key_file: %s}", certs.CAFile, certs.CertFile, certs.KeyFile))
	targets, err := dimensions.OpenTargets(context.Background(), &e.Dimensions[0].Definition)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	w, err := targets[0].Versioned.Prepare(ctx, "v1")
	if err == nil {
		err = w.Write(ctx, []dimjoin.Record{{Key: []byte("k"), Values: mortise.Row{mortise.StringValue("k")}, Row: mortise.Row{mortise.StringValue("shoes")}}})
	}
	if err == nil {
		err = targets[0].Versioned.Switch(ctx, "v1")
	}
	if err == nil {
		err = targets[0].Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	plan, err := experiments.NewPlan([]*spec.Experiment{e})
	if err != nil {
		t.Fatal(err)
	}
	set, err := dimensions.Open(ctx, plan, dimensions.Options{Patient: true})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	answers := [][]dimjoin.Answer{{{Key: []byte("k"), Values: mortise.Row{mortise.StringValue("k")}, AsOfMS: dimjoin.Latest}}}
	if err := set.For(plan.Pipelines[0]).Read(ctx, answers); err != nil {
		t.Fatal(err)
	}
	if a := &answers[0][0]; a.Served != dimjoin.ServedStore || string(a.Row[0].Text()) != "shoes" {
		t.Errorf("%+v", *a)
	}
	for tls, want := range map[string]string{
		"true": "certificate", "{enabled: true, root_cas_file: " + certs.CAFile + "}": "certificate required", "false": "cannot be reached",
	} {
		e := store(tls)
		if _, err := dimensions.OpenTargets(ctx, &e.Dimensions[0].Definition); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("tls: %s: %v, want %s", tls, err, want)
		}
	}
}
