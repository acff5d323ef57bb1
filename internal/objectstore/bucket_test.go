package objectstore_test

import (
	"testing"

	"github.com/mortise-dev/mortise/internal/objectstore/buckettest"
	"github.com/mortise-dev/mortise/internal/objectstore/s3test"
)

func TestBucketInMemory(t *testing.T) {
	buckettest.Run(t, func(*testing.T) buckettest.Bucket { return buckettest.NewMemory() })
}

func TestBucketInDirectory(t *testing.T) {
	buckettest.Run(t, func(t *testing.T) buckettest.Bucket { return open(t, t.TempDir()) })
}

func TestBucketOnS3(t *testing.T) {
	server := s3test.Start(t)
	buckettest.Run(t, func(t *testing.T) buckettest.Bucket { return open(t, server.Bucket(t)) })
}
