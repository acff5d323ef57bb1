package checkpoint_test

import (
	"testing"

	"github.com/mortise-dev/mortise/internal/objectstore"
	"github.com/mortise-dev/mortise/internal/objectstore/s3test"
	"github.com/mortise-dev/mortise/joiner/checkpoint"
	"github.com/mortise-dev/mortise/joiner/checkpoint/buckettest"
)

func openPlace(t testing.TB, place string) *objectstore.Bucket {
	t.Helper()
	b, err := objectstore.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestBucketInMemory(t *testing.T) {
	buckettest.Run(t, func(*testing.T) checkpoint.Bucket { return buckettest.NewMemory() })
}

func TestBucketInDirectory(t *testing.T) {
	buckettest.Run(t, func(t *testing.T) checkpoint.Bucket { return openPlace(t, t.TempDir()) })
}

func TestBucketOnS3(t *testing.T) {
	server := s3test.Start(t)
	buckettest.Run(t, func(t *testing.T) checkpoint.Bucket { return openPlace(t, server.Bucket(t)) })
}
