package objectstore

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Open opens a place by its URL; nothing is read or made yet.
//
//	some/path, /some/path, file:///some/path  a directory, made when first written to
//	s3://bucket/prefix?region=eu-west-1       Amazon S3; for what else speaks its protocol also &endpoint=https://host:port
//	gs://bucket/prefix                        Google Cloud Storage
//	azblob://container/prefix                 Azure Blob Storage
//
// Credentials come from where each one's own tools look for them: AWS_* variables,
// ~/.aws and instance roles; application default credentials; AZURE_STORAGE_*.
func Open(ctx context.Context, place string) (*Bucket, error) {
	scheme, _, isURL := strings.Cut(place, "://")
	if !isURL {
		if place == "" {
			return nil, fmt.Errorf("opening an object store: the path is empty: name a directory or a URL")
		}
		d, err := openDir(place)
		if err != nil {
			return nil, err
		}
		return &Bucket{place, d}, nil
	}
	u, err := url.Parse(place)
	if err != nil {
		return nil, fmt.Errorf("opening %s: it is no URL: write s3://bucket/prefix, or a plain path", redactText(place))
	}
	switch scheme {
	case "file":
		if u.Host != "" || u.Path == "" || u.RawQuery != "" {
			return nil, fmt.Errorf("opening %s: a file URL is file:///some/path, without a host or parameters", Redact(place))
		}
		d, err := openDir(u.Path)
		if err != nil {
			return nil, err
		}
		return &Bucket{place, d}, nil
	case "s3", "gs", "azblob":
		c, err := openCloud(ctx, u)
		if err != nil {
			return nil, fmt.Errorf("opening %s: %w", Redact(place), err)
		}
		return &Bucket{Redact(place), c}, nil
	}
	return nil, fmt.Errorf("opening %s: unknown scheme %q: there are s3, gs, azblob, file, and plain paths", Redact(place), scheme)
}

// plainParams are the parameters whose values are no secrets.
var plainParams = map[string]bool{
	"region": true, "endpoint": true, "profile": true, "anonymous": true, "use_path_style": true, "disable_https": true, "role": true,
	"hostname_immutable": true, "dualstack": true, "fips": true, "accelerate": true, "ssetype": true, "domain": true, "protocol": true,
	"localemu": true, "storage_account": true, "cdn": true, "request_checksum_calculation": true, "response_checksum_validation": true,
}

// Redact returns the URL of a place with what may be secret replaced.
func Redact(place string) string {
	u, err := url.Parse(place)
	if err != nil {
		return redactText(place)
	}
	if u.Scheme == "" {
		return place
	}
	if u.User != nil {
		u.User = url.User("***")
	}
	var params []string
	for _, p := range strings.Split(u.RawQuery, "&") {
		if name, value, ok := strings.Cut(p, "="); ok && !plainParams[name] {
			p = name + "=***"
		} else if ok && strings.Contains(value, "@") || strings.Contains(value, "%40") {
			p = name + "=" + redactText(value)
		}
		params = append(params, p)
	}
	u.RawQuery = strings.Join(params, "&")
	return u.String()
}

var userinfo = regexp.MustCompile(`(?i)(://|%3a%2f%2f)[^/]*(@|%40)`)

func redactText(place string) string {
	place, _, cut := strings.Cut(place, "?")
	place = userinfo.ReplaceAllString(place, "$1***$2")
	if cut {
		place += "?***"
	}
	return place
}
