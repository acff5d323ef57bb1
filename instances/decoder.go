package instances

// Decoder reads back what an Encoder of the same columns wrote, for whoever
// makes another format out of a topic's rows. One goroutine uses a Decoder.
type Decoder interface {
	// Decode fills into from one encoded instance. The texts and lists of into lie in
	// value and in the decoder's own buffers: they hold until value changes or Decode
	// is called again. into's slices are used again, so that the same Instance should
	// be given every time.
	//
	// What an encoder writes as null comes back as null: an invalid value too, and a
	// float that is not finite. A selected column that the row does not have is null;
	// one that the columns do not have is passed over: rows that were written before
	// `select` changed can be read. The error names the column at fault.
	Decode(value []byte, into *Instance) error
}
