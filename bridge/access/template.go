package access

import (
	"fmt"
	"slices"
	"strings"
)

// TemplateNames are what the URL and the paths of a webhook may name, as The Things Stack
// has them. appEUI is the JoinEUI.
var TemplateNames = []string{
	"appID", "applicationID", "appEUI", "joinEUI", "devID", "deviceID", "devEUI", "devAddr",
}

// form is how an expression of a template is written (RFC 6570, appendix A).
type form struct {
	first, between string
	named          bool   // with the name before the value
	empty          string // behind the name, if there is no value
}

var forms = map[byte]form{
	0: {"", ",", false, ""}, '+': {"", ",", false, ""}, '#': {"#", ",", false, ""}, '.': {".", ".", false, ""},
	'/': {"/", "/", false, ""}, ';': {";", ";", true, ""}, '?': {"?", "&", true, "="}, '&': {"&", "&", true, "="},
}

// Expand fills in a template such as "{/appID,devID}{?devEUI}" (RFC 6570) with values of
// TemplateNames, which are ids and hexadecimal and need no escaping. A name without a
// value is empty, as with The Things Stack. The error says what is wrong with a template.
func Expand(template string, values map[string]string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(template, "{")
		if strings.Contains(before, "}") {
			return "", fmt.Errorf("%.60q: a } without a {", template)
		}
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		expression, behind, closed := strings.Cut(rest, "}")
		if !closed {
			return "", fmt.Errorf("%.60q: a { without a }", template)
		}
		if err := expandOne(&b, expression, values); err != nil {
			return "", err
		}
		template = behind
	}
}

func expandOne(b *strings.Builder, expression string, values map[string]string) error {
	operator := byte(0)
	if expression != "" {
		if _, ok := forms[expression[0]]; ok {
			operator, expression = expression[0], expression[1:]
		}
	}
	f := forms[operator]
	before := f.first
	for name := range strings.SplitSeq(expression, ",") {
		if !slices.Contains(TemplateNames, name) {
			return fmt.Errorf("{%.60s}: no such name; there are %s", name, strings.Join(TemplateNames, ", "))
		}
		b.WriteString(before)
		before = f.between
		value := values[name]
		switch {
		case f.named && value == "":
			b.WriteString(name + f.empty)
		case f.named:
			b.WriteString(name + "=" + value)
		default:
			b.WriteString(value)
		}
	}
	return nil
}
