// Package hostiletest has messages for a distlog source that nobody of good will sends: each is
// made to hang, fill, crash or take over who reads it. It is for tests alone.
//
//	for _, m := range hostiletest.Messages() {
//		send(m.Parts)
//	}
package hostiletest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// Message is one of them.
type Message struct {
	Name  string
	Parts [][]byte
	// Record is set if it is a record for all that, though a strange one.
	Record bool
}

const mebi = 1 << 20

// Messages returns all of them. None is longer than 4 MiB, which is what a source takes.
func Messages() []Message {
	all := append(frames(), texts()...)
	all = append(append(all, machines()...), classes()...)
	return append(append(all, again()...), deep()...)
}

func message(name string, parts ...string) Message {
	m := Message{Name: name}
	for _, p := range parts {
		m.Parts = append(m.Parts, []byte(p))
	}
	return m
}

func record(name string, parts ...string) Message {
	m := message(name, parts...)
	m.Record = true
	return m
}

func frames() []Message {
	return []Message{
		message("one part", "PLJ"),
		message("one empty part", ""),
		message("three parts", "PLJ", "{}", "{}"),
		message("200 empty parts", make([]string, 200)...),
		message("the body first", `{"message":"x"}`, "PLJ"),
		message("empty body", "PLJ", ""),
		message("empty pickle", "PLP", ""),
		record("no topic", "", `{"message":"x"}`),
		record("topic of a mebibyte", strings.Repeat("PLJ", mebi/3), `{"message":"x"}`),
		message("topic of line feeds", "\n\n\n", "\n"),
	}
}

func texts() []Message {
	deep := func(open, close string) string {
		return strings.Repeat(open, mebi/len(open)) + strings.Repeat(close, mebi/len(open))
	}
	many := func(format string) string {
		var b strings.Builder
		for i := 0; b.Len() < 3*mebi; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	return []Message{
		message("arrays without end", "PLJ", `{"message":`+strings.Repeat("[", 3*mebi)),
		message("arrays in arrays", "PLJ", `{"message":"x","a":`+deep("[", "]")+`}`),
		message("objects in objects", "PLJ", strings.TrimSuffix(deep(`{"a":`, "}"), "}")+"1"),
		message("contexts in contexts", "PLJ", deep(`{"context":`, "}")),
		message("a hundred thousand attributes", "PLJ", `{`+many(`"a%d":1,`)+`"message":"x"}`),
		message("a hundred thousand contexts", "PLJ", `{`+many(`"context":{"a%d":1},`)+`"context":{},"context":`),
		record("a thousand names of 4 KiB", "PLJ", `{"message":"x"`+strings.Repeat(`,"`+strings.Repeat("n", 4000)+`":1`, 900)+`}`),
		record("the same name again and again", "PLJ", `{"message":"x"`+strings.Repeat(`,"a":1`, 4000)+`}`),
		record("different names that become the same", "PLJ", `{"message":"x"`+strings.Repeat(`,"é":1,"è":1`, 2000)+`}`),
		record("message of three mebibytes", "PLJ", `{"message":"`+strings.Repeat("x", 3*mebi)+`"}`),
		record("message of escapes", "PLJ", `{"message":"`+strings.Repeat(`\u0000`, mebi/2)+`"}`),
		record("message of halves of pairs", "PLJ", `{"message":"`+strings.Repeat(`\ud800`, mebi/2)+`"}`),
		record("number of two million digits", "PLJ", `{"message":"x","levelno":`+strings.Repeat("9", 2*mebi)+`,"created":1}`),
		record("time of a million digits", "PLJ", `{"message":"x","created":1.`+strings.Repeat("9", mebi)+`}`),
		record("time beyond all", "PLJ", `{"message":"x","created":1e999}`),
		record("time that is none", "PLJ", `{"message":"x","created":NaN,"levelno":-Infinity}`),
		record("host of a mebibyte", "PLJ", `{"message":"x","hostname":"`+strings.Repeat("h", mebi)+`"}`),
		record("key of a mebibyte", "PLJ", `{"message":"x","context":{"key":"1@`+strings.Repeat("/1", mebi/2)+`"}}`),
		record("escapes of a terminal", "PLJ", `{"message":"\u001b]0;x\u0007\u001b[2J","hostname":"\u001b[31m\n"}`),
		message("not UTF-8", "PLJ", "{\"message\":\"\xff\xfe\"}"),
		message("UTF-16", "PLJ", "\xff\xfe{\x00}\x00"),
		message("text that does not end", "PLJ", `{"message":"`+strings.Repeat("x", mebi)),
		message("object after object", "PLJ", strings.Repeat(`{"message":"x"}`, 1000)),
		message("YAML that calls", "PLJ", "!!python/object/apply:os.system ['touch /tmp/x']"),
	}
}

// u32 and u64 are lengths as pickles have them.
func u32(n uint32) string { return string(binary.LittleEndian.AppendUint32(nil, n)) }
func u64(n uint64) string { return string(binary.LittleEndian.AppendUint64(nil, n)) }

func machines() []Message {
	p := func(name, body string) Message { return message(name, "PLP", body) }
	var bomb bytes.Buffer // a list of ten of a list of ten …
	bomb.WriteString("\x80\x02}(X\x01\x00\x00\x00a]q\x00")
	for i := range 60 {
		fmt.Fprintf(&bomb, "]q%c(%se", rune(i+1), strings.Repeat("h"+string(rune(i)), 10))
	}
	bomb.WriteString("u.")
	return []Message{
		p("stops at once", "."),
		p("no protocol that is known", "\x80\xff}."),
		p("text of four gibibytes", "\x80\x02}(X\xff\xff\xff\xffa"),
		p("text of all bytes there are", "\x80\x04}(\x8d"+u64(1<<63)+"a"),
		p("frame of all bytes there are", "\x80\x04\x95"+u64(1<<63)+"}."),
		p("number of two gibibytes", "\x80\x02\x8b"+u32(1<<31-1)),
		p("number of a mebibyte", "\x80\x02}X\x01\x00\x00\x00a\x8b"+u32(mebi)+strings.Repeat("\xff", mebi)+"s."),
		p("memo at four billion", "\x80\x02}r\xff\xff\xff\xff."),
		p("memo that is not there", "\x80\x02}h\x07."),
		p("marks without end", "\x80\x02"+strings.Repeat("(", 3*mebi)+"."),
		p("empty lists without end", "\x80\x02"+strings.Repeat("]", 3*mebi)+"."),
		p("lists in lists", "\x80\x02}X\x01\x00\x00\x00a"+strings.Repeat("]", 100_000)+strings.Repeat("a", 99_999)+"s."),
		p("tuples in tuples", "\x80\x02}X\x01\x00\x00\x00a)"+strings.Repeat("\x85", 200_000)+"s."),
		p("memo bomb", bomb.String()),
		p("copies of copies", "\x80\x02]"+strings.Repeat("2a", mebi)+"."),
		record("dictionary within itself", "PLP", "\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s."),
		p("nothing on the stack", "\x80\x02\x85\x86\x87R."),
		p("a list, no dictionary", "\x80\x02]."),
		p("buffers from elsewhere", "\x80\x05\x97\x98."),
		p("truncated", "\x80\x02}q\x00(X\x04\x00\x00\x00name"),
		p("text, not a pickle", `{"message":"x"}`),
	}
}

func classes() []Message {
	dict := func(name, value string) Message {
		return record(name, "PLP", "\x80\x02}(X\x07\x00\x00\x00messageX\x01\x00\x00\x00xX\x01\x00\x00\x00a"+value+"u.")
	}
	return []Message{
		message("os.system", "PLP", "cos\nsystem\n(S'touch /tmp/weir-was-here'\ntR."),
		message("eval by INST", "PLP", "(S'__import__(\"os\").abort()'\ni__builtin__\neval\n."),
		message("a class by OBJ", "PLP", "(cposix\nsystem\nS'id'\no."),
		dict("subprocess in a value", "csubprocess\ncheck_output\n(S'id'\ntR"),
		dict("builtins.exec in a value", "c__builtin__\nexec\n(S'raise SystemExit'\ntR"),
		dict("a name with code", "c__import__('os').system('id')#\nx; import os\n(tR"),
		dict("a name of a mebibyte", "c"+strings.Repeat("m.", mebi/2)+"\nx\n(tR"),
		dict("getattr of getattr", "c__builtin__\ngetattr\n(c__builtin__\ngetattr\nS'__globals__'\ntR"),
		dict("setattr by BUILD", "c__main__\nA\n)\x81}X\x09\x00\x00\x00__class__c__builtin__\nobject\nsb"),
		dict("a lambda by marshal", "cmarshal\nloads\n(S'c\\x00\\x00'\ntRcnew\nfunction\n(tR0"),
		dict("persistent id", "Pfile:///etc/passwd\n"),
		dict("extension of the registry", "\x82\x01"),
		dict("range of all numbers", "c__builtin__\nxrange\n(K\x00L99999999999999999999L\ntR"),
		dict("fraction by zero", "cfractions\nFraction\n(K\x01K\x00tR"),
		dict("date that is none", "cdatetime\ndatetime\n(U\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfftR"),
		dict("decimal of a mebibyte", "cdecimal\nDecimal\n(X"+u32(mebi)+strings.Repeat("9", mebi)+"tR"),
		dict("path of many parts", "cpathlib\nPurePosixPath\n("+strings.Repeat("X\x04\x00\x00\x00part", 10_000)+"tR"),
	}
}
