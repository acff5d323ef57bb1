package spec

// Code names a kind of finding. Codes are stable: scripts may rely on them.
type Code string

// Codes is every code with what it says, for the documentation.
var Codes = []struct {
	Code    Code
	Meaning string
}{
	{BadFile, "the file cannot be read: missing, a directory, too large, or a file that it names is"},
	{BadEncoding, "the file is not UTF-8, or has control characters"},
	{BadYAML, "the file is not YAML, or uses a part of it that experiment files do without"},
	{EmptyFile, "there is nothing in the file"},
	{MultiDocument, "the file holds more than one document"},
	{DuplicateKey, "a key is given twice in one block"},
	{BadAlias, "an alias has no anchor, contains itself, or expands without measure"},
	{BadOverride, "a --set value has no place to go"},
	{MissingEnv, "an environment variable that the file uses is not set"},
	{UnknownKey, "a key that this block does not have"},
	{MissingKey, "a required key is not there"},
	{WrongType, "a value is of another type than its key takes"},
	{BadValue, "a value is not one of those that its key takes"},
	{BadName, "a name has characters that it cannot have"},
	{BadDuration, "not a duration, or one out of bounds"},
	{BadSize, "not a size in bytes"},
	{BadType, "not the type of a field"},
	{BadExpression, "an expression does not compile, or gives another type than it must"},
	{UnknownSource, "no source has that name, or it cannot stand in that place"},
	{UnknownFunction, "no clean function is registered under that name"},
	{UndeclaredField, "a field, feature or dimension field that is not declared"},
	{TypeMismatch, "a field is of a type that does not fit its use"},
	{BadKey, "partition_by or `on` does not fit the join key"},
	{BadWindow, "a window that can hold nothing, or does not fit its delay or tile"},
	{BadAggregate, "an aggregate call that cannot be computed"},
	{FeatureCycle, "features that are computed from one another"},
	{BadDimension, "a dimension's store does not fit its use"},
	{NameClash, "two things would have the same name"},
	{Conflict, "settings that contradict each other"},
	{Unused, "declared, but nothing uses it (a warning)"},
	{Insecure, "works, but shows secrets (a warning)"},
	{Leak, "a feature may see what its row is to predict (a warning)"},
}

const (
	BadFile         Code = "bad-file"
	BadEncoding     Code = "bad-encoding"
	BadYAML         Code = "bad-yaml"
	EmptyFile       Code = "empty-file"
	MultiDocument   Code = "multi-document"
	DuplicateKey    Code = "duplicate-key"
	BadAlias        Code = "bad-alias"
	BadOverride     Code = "bad-override"
	MissingEnv      Code = "missing-env"
	UnknownKey      Code = "unknown-key"
	MissingKey      Code = "missing-key"
	WrongType       Code = "wrong-type"
	BadValue        Code = "bad-value"
	BadName         Code = "bad-name"
	BadDuration     Code = "bad-duration"
	BadSize         Code = "bad-size"
	BadType         Code = "bad-type"
	BadExpression   Code = "bad-expression"
	UnknownSource   Code = "unknown-source"
	UnknownFunction Code = "unknown-function"
	UndeclaredField Code = "undeclared-field"
	TypeMismatch    Code = "type-mismatch"
	BadKey          Code = "bad-key"
	BadWindow       Code = "bad-window"
	BadAggregate    Code = "bad-aggregate"
	FeatureCycle    Code = "feature-cycle"
	BadDimension    Code = "bad-dimension"
	NameClash       Code = "name-clash"
	Conflict        Code = "conflicting-settings"
	Unused          Code = "unused"
	Insecure        Code = "insecure"
	Leak            Code = "leak"
)
