package instances

// Encoder turns instances into records of one topic format. One goroutine uses
// an Encoder; it may keep buffers from call to call.
type Encoder interface {
	// Append appends one encoded instance to dst and returns the extended slice.
	// It keeps neither dst nor in. The instance has as many labels and selected
	// values as the Columns that the encoder was made for.
	Append(dst []byte, in *Instance) []byte
}
