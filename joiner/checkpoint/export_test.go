package checkpoint

// OfVersion returns a manifest object of any version, with a first line that is true.
func OfVersion(version int, body []byte) []byte {
	return append([]byte(firstLine(version, body)), body...)
}
