// Package objectstore opens the places that large files go to: a directory, S3
// and what speaks its protocol, Google Cloud Storage, Azure Blob Storage. It
// belongs to no stage: stages declare the methods that they need, and cmd hands
// them a Bucket. Directories are its own code; for the rest it is the one package
// that knows gocloud.dev.
package objectstore
