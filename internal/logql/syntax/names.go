package syntax

// The labels that a failing stage sets. They can be filtered and dropped, not made.
const (
	ErrorLabel        = "__error__"
	ErrorDetailsLabel = "__error_details__"
)

// The values of ErrorLabel.
const (
	JSONParserErr       = "JSONParserErr"
	LogfmtParserErr     = "LogfmtParserErr"
	LabelFilterErr      = "LabelFilterErr"
	TemplateFormatErr   = "TemplateFormatErr"
	SampleExtractionErr = "SampleExtractionErr"
)

// IsErrorLabel tells whether name is one of those that a failing stage sets.
func IsErrorLabel(name string) bool { return name == ErrorLabel || name == ErrorDetailsLabel }

// LevelLabel is the label that holds a record's level.
const LevelLabel = "detected_level"

// ExtractedSuffix is appended to the name of an extracted label that the record came with.
const ExtractedSuffix = "_extracted"

// UnpackEntry is the member of a packed object that holds the line.
const UnpackEntry = "_entry"

// EscapeSequence is the regular expression of what Decolorize removes: control sequences
// (colours, cursor), operating system commands (titles, links), other escapes.
const EscapeSequence = `(?:\x1b\[|\x{9b})[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]`

// SanitizeName returns the name of the label that a key becomes: what is neither a letter
// of ASCII nor a digit becomes an underscore, and one is put before a leading digit.
func SanitizeName(key string) string {
	clean := true
	for i := range len(key) {
		clean = clean && isIdent(key[i], i > 0)
	}
	if clean {
		return key
	}
	b := make([]byte, 0, len(key)+1)
	for i, r := range key {
		switch {
		case i == 0 && r >= '0' && r <= '9':
			b = append(b, '_', byte(r))
		case r < 0x80 && isIdent(byte(r), true):
			b = append(b, byte(r))
		default:
			b = append(b, '_')
		}
	}
	return string(b)
}
