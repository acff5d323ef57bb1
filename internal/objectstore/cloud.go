package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"time"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://
	_ "gocloud.dev/blob/gcsblob"   // gs://
	_ "gocloud.dev/blob/s3blob"    // s3://
	"gocloud.dev/gcerrors"
)

// cloud is a bucket of a service, through gocloud.dev.
type cloud struct {
	bucket *blob.Bucket
	scheme string
}

func openCloud(ctx context.Context, u *url.URL) (*cloud, error) {
	if u.Host == "" {
		return nil, fmt.Errorf("it names no bucket: write %s://bucket/prefix", u.Scheme)
	}
	prefix := strings.Trim(u.Path, "/")
	if prefix != "" {
		if err := checkKey(prefix); err != nil {
			return nil, err
		}
	}
	at := *u
	at.Path = ""
	if q := at.Query(); u.Scheme == "s3" && q.Get("endpoint") != "" {
		// Few servers but Amazon's answer at a host name of the bucket's own.
		for name, value := range map[string]string{"use_path_style": "true", "region": "us-east-1"} {
			if !q.Has(name) {
				q.Set(name, value)
			}
		}
		at.RawQuery = q.Encode()
	}
	b, err := blob.OpenBucket(ctx, at.String())
	if err != nil {
		// The text may repeat the URL.
		return nil, errors.New(strings.ReplaceAll(err.Error(), at.String(), Redact(at.String())))
	}
	if prefix != "" {
		b = blob.PrefixedBucket(b, prefix+"/")
	}
	return &cloud{b, u.Scheme}, nil
}

// uploadChunkBytes is what one upload holds in memory, three times over.
const uploadChunkBytes = 8 << 20

func (c *cloud) put(ctx context.Context, key string, body io.Reader, create bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := c.bucket.NewWriter(ctx, key, &blob.WriterOptions{ContentType: "application/octet-stream", BufferSize: uploadChunkBytes, MaxConcurrency: 2, IfNotExist: create})
	if err != nil {
		return plain(err)
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{body}, make([]byte, 256<<10)); err != nil {
		cancel() // closing without it would store what there is so far
		_ = w.Close()
		return exists(plain(err), create)
	}
	return exists(plain(w.Close()), create)
}

// exists makes it fs.ErrExist that an object is there which was to be created.
func exists(err error, create bool) error {
	if create && err != nil && gcerrors.Code(err) == gcerrors.FailedPrecondition {
		return fmt.Errorf("%w (%w)", fs.ErrExist, err)
	}
	return err
}

func (c *cloud) get(ctx context.Context, key string, off, lengthBytes int64) (io.ReadCloser, error) {
	r, err := c.bucket.NewRangeReader(ctx, key, off, lengthBytes, nil)
	if err != nil && isPastEnd(err) {
		return io.NopCloser(strings.NewReader("")), nil
	}
	if err != nil {
		return nil, plain(err)
	}
	return r, nil
}

// isPastEnd reports whether a range begins at or behind the object's end, as any
// range of an empty one does.
func isPastEnd(err error) bool {
	return containsAny(err.Error(), "InvalidRange", "StatusCode: 416", "Error 416", "RESPONSE 416")
}

func (c *cloud) list(ctx context.Context, prefix string, each func(key string, sizeBytes int64, modified time.Time) error) error {
	it := c.bucket.List(&blob.ListOptions{Prefix: prefix})
	for {
		o, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return plain(err)
		}
		if err := each(o.Key, o.Size, o.ModTime); err != nil {
			return err
		}
	}
}

func (c *cloud) remove(ctx context.Context, key string) error {
	return plain(c.bucket.Delete(ctx, key))
}

func (c *cloud) close() error { return c.bucket.Close() }

// plain makes a missing object fs.ErrNotExist. That the bucket itself is missing
// has the same code, but says so.
func plain(err error) error {
	if err != nil && gcerrors.Code(err) == gcerrors.NotFound && !isNoBucket(err) {
		return fmt.Errorf("%w (%w)", fs.ErrNotExist, err)
	}
	return err
}

func isNoBucket(err error) bool {
	text := err.Error()
	for _, code := range []string{"NoSuchBucket", "bucket does not exist", "ContainerNotFound"} {
		if strings.Contains(text, code) {
			return true
		}
	}
	return false
}

// IsPermanent reports whether it is of no use to try again after an error of a
// Bucket: what it asked for is missing, or these credentials may not.
func IsPermanent(err error) bool {
	switch gcerrors.Code(err) {
	case gcerrors.NotFound, gcerrors.PermissionDenied, gcerrors.InvalidArgument:
		return true
	}
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) ||
		containsAny(err.Error(), "AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId", "AuthenticationFailed", "NoSuchBucket", "StatusCode: 403", "StatusCode: 401")
}

// advise tells by the kind of error, and by what is in its text where the service
// has no kind of its own for it.
func (c *cloud) advise(err error) string {
	credentials := map[string]string{
		"s3":     "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
		"gs":     "set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login",
		"azblob": "set AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY, or AZURE_STORAGE_SAS_TOKEN",
	}[c.scheme]
	text := err.Error()
	var network net.Error
	switch {
	case isNoBucket(err):
		return "make the bucket, or correct its name"
	case gcerrors.Code(err) == gcerrors.PermissionDenied, containsAny(text, "AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId", "AuthenticationFailed", "StatusCode: 403", "StatusCode: 401"):
		return "these credentials may not: they need to read, write, list and delete there; " + credentials
	case containsAny(text, "get credentials", "no EC2 IMDS role found", "default credentials"):
		return "there are no credentials: " + credentials
	case containsAny(text, "MissingRegion", "Invalid region", "missing an AWS region"):
		return "add ?region=… to the URL, or set AWS_REGION"
	case errors.As(err, &network), containsAny(text, "connection refused", "no such host"):
		return "check that the service can be reached from here"
	}
	return ""
}

func containsAny(text string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}
