package secret_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/codec/secret"
)

// hidden returns text with the places of k replaced by #.
func hidden(k secret.Kind, text string) string {
	var b strings.Builder
	at := 0
	for _, p := range k.Append(nil, []byte(text)) {
		b.WriteString(text[at:p.Start] + "#")
		at = p.End
	}
	return b.String() + text[at:]
}

// check tells what is found in text, and that May lets it through, escaped or not.
func check(t *testing.T, k secret.Kind, text, want string) {
	t.Helper()
	if got := hidden(k, text); got != want {
		t.Errorf("%s: %q becomes %q; want %q", k, text, got, want)
	}
	if text != want && (!k.May([]byte(text)) || !k.May(jsontext.Escape(nil, []byte(text)))) {
		t.Errorf("%s: %q is passed over", k, text)
	}
}

// Tokens are written in two pieces, so that nothing that scans sources takes them for real.
const (
	aws    = "AKIA" + "IOSFODNN7EXAMPLE"
	github = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
	slack  = "xoxb-" + "123456789012-1234567890123-AbCdEfGhIjKlMnOp"
	stripe = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"
	openai = "sk-" + "proj-abcDEF123456ghiJKL789"
	jwt    = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0" + ".SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
)

func TestTokens(t *testing.T) {
	good := func(text, want string) {
		t.Helper()
		check(t, secret.Secrets, text, want)
	}
	same := func(text string) {
		t.Helper()
		check(t, secret.Secrets, text, text)
	}
	for _, token := range []string{aws, github, slack, stripe, openai, jwt,
		"glpat-" + "abcDEF123456ghiJKL78", "github_pat_" + "11ABCDEFG0abcdefghij_klmnopqrst", "AIza" + "SyA1234567890abcdefghijklmnopqrstuv",
		"rk_test_" + "4eC39HqLyjWDarjtT1zdp7dc", "whsec_" + "4eC39HqLyjWDarjtT1zdp7dc", "npm_" + "4eC39HqLyjWDarjtT1zdp7dc4eC39HqLyj",
		"hf_" + "abcdefghijklmnopqrstuvwxyzABCDEFGH", "xapp-" + "1-A0123-456-abcdef", "dckr_pat_" + "abcdefghij0123456789",
	} {
		for _, around := range []string{"#", "got # from x", `"#"`, "\n#\n", "a=#&b=1", "/path/#/x", "(#)", "_#", "ж#ж"} {
			good(strings.Replace(around, "#", token, 1), around)
		}
		if token != jwt { // its second part looks like a first
			same("x" + token + "y")
		}
	}
	good("two: "+aws+" "+github, "two: # #")
	good(`{"m":"a\n`+aws+`"}`, `{"m":"a\n#"}`) // of JSON: the n is no letter before it
	same(`{"m":"a\\n` + aws + `"}`)
	same(aws[:19])
	same("a task-" + "abcdefghijklmnopqrstuvwxyz0123")
	same("sk-" + "learn-pipelines-and-something")
	same("0f5b8c9e-1111-2222-3333-444455556666")
	same("4f9d5a2b7c3e1f0a9b8c7d6e5f4a3b2c1d0e9f8a")
	same("eyJ.eyJ.x")
}

func TestAssigned(t *testing.T) {
	good := func(text, want string) {
		t.Helper()
		check(t, secret.Secrets, text, want)
	}
	good("password=hunter2", "password=#")
	good("Password: hunter2, user: x", "Password: #, user: x")
	good("DB_PASSWORD=hunter2 USER=x", "DB_PASSWORD=# USER=x")
	good(`{"password":"hunter2","x":1}`, `{"password":"#","x":1}`)
	good(`{"password" : "hun\"ter2"}`, `{"password" : "#"}`)
	good(`{"body":"{\"apiKey\":\"hunter2\",\"b\":1}"}`, `{"body":"{\"apiKey\":\"#\",\"b\":1}"}`)
	good(`GET /a?token=abc&b=1 HTTP/1.1`, `GET /a?token=#&b=1 HTTP/1.1`)
	good(`api_key: abc; api-key=def apikey => 'ghi jkl'`, `api_key: #; api-key=# apikey => '#'`)
	good("x-api-key:\tabc", "x-api-key:\t#")
	good("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = #")
	good("Endpoint=sb://x/;SharedAccessKeyName=Root;SharedAccessKey=abc=", "Endpoint=sb://x/;SharedAccessKeyName=Root;SharedAccessKey=#")
	good("Authorization: Bearer abc.def-ghi", "Authorization: Bearer #")
	good(`"Authorization": "Basic dXNlcjpwYXNz"`, `"Authorization": "Basic #"`)
	good("proxy-authorization: dXNlcjpwYXNz", "proxy-authorization: #")
	good("login(user=x, passwd=y)", "login(user=x, passwd=#)")
	good("DB_PASS=x compass=north", "DB_PASS=# compass=north")
	good("password=token=abc", "password=#")
	good(`password='it''s' x`, `password='#''s' x`)
	good(`secret="never closed`+"\nnext", `secret="#`+"\nnext")
	good(`password=a\b\" x`, `password=#\" x`)
	good("client_secret:=abc", "client_secret:=#")
	good(`{"password":["abc","d]\"e"],"x":1}`, `{"password":#,"x":1}`)
	good(`{"password" : {"old":"a\\","new":["}"]} ,"x":[1]}`, `{"password" : # ,"x":[1]}`)
	good(`{"m":"{\"token\":{\"a\":\"}\\\"}\"},\"b\":1}"}`, `{"m":"{\"token\":#,\"b\":1}"}`)
	good(`{"password":["abc`, `{"password":#`)
	good(`{"pin_token":1234,"x":1}`, `{"pin_token":#,"x":1}`)
	good("password == abc", "password == #")
	for _, same := range []string{
		"password=", "password: ", `password=""`, "password=****", "password: null", "token = None", "secret: {a: 1}",
		"Token::decode(x)", "auth::Token::new", "password=${DB_PASSWORD}", "token=[REDACTED]", "tokens: 1532", "password", "=:=",
		`{"password":[],"token":{}}`, "password: -", "compass: north", "monkey=1", "author=x", "key=1", "pass=10 fail=2", "the password is x",
	} {
		check(t, secret.Secrets, same, same)
	}
}

func TestURLs(t *testing.T) {
	good := func(text, want string) {
		t.Helper()
		check(t, secret.Secrets, text, want)
	}
	good("postgres://bob:hunter2@db:5432/shop", "postgres://bob:#@db:5432/shop")
	good("redis://:p@ss:w@cache/0, amqp://a:b@q", "redis://:#@cache/0, amqp://a:#@q")
	for _, same := range []string{"http://host:8080/a?mail=x@y.z", "http://bob@host/", "http://bob:@host/", "://bob:x@y", "http://u@v:80@x", "http://bob:***@host/"} {
		check(t, secret.Secrets, same, same)
	}
}

func TestBearersAndKeys(t *testing.T) {
	good := func(text, want string) {
		t.Helper()
		check(t, secret.Secrets, text, want)
	}
	good("sent Bearer abcdefgh/ijklmn+0= on", "sent Bearer # on")
	good("bearer bearer  abcdefghijklmnop1", "bearer bearer  #")
	good("BEARER abcdefghijklmnop1", "BEARER #")
	good("Bearer authentication-failed bearer", "Bearer authentication-failed bearer")
	good("forbearer abcdefghijklmnop1", "forbearer abcdefghijklmnop1")
	const begin, end = "-----BEGIN " + "RSA PRIVATE KEY-----", "-----END RSA " + "PRIVATE KEY-----"
	good("key "+begin+"\nMII\n"+end+" x", "key # x")
	good(`key `+begin+`\nMII\n`+end+` x`, `key # x`)
	good("key "+begin+"MII", "key #")
	good("-----BEGIN "+"PGP PRIVATE KEY BLOCK-----\nx", "#")
	good("-----BEGIN PUBLIC KEY-----\nMII\n-----END PUBLIC KEY-----", "-----BEGIN PUBLIC KEY-----\nMII\n-----END PUBLIC KEY-----")
	good("Authorization: Bearer "+jwt, "Authorization: Bearer #")
	good("token="+github+" password="+aws, "token=# password=#")
}

func TestCards(t *testing.T) {
	good := func(text, want string) {
		t.Helper()
		check(t, secret.Cards, text, want)
	}
	for _, number := range []string{
		"4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "5555555555554444", "2223003122003222", "378282246310005",
		"3782 822463 10005", "3714-496353-98431", "30569309025904", "3056 930902 5904", "6011111111111117", "3530111333300000",
		"6200000000000005", "2200000000000004", "4222222222222", "6304000000000000",
	} {
		for _, around := range []string{"#", "card # ok", "cc=#;", `"#"`, "\n#\n", "é#.", "x_#_y", "12 #", "# 200 512", "7-#-9"} {
			if strings.Contains(number, " ") && around == "12 #" || strings.Contains(number, "-") && around == "7-#-9" {
				continue
			}
			good(strings.Replace(around, "#", number, 1), around)
		}
	}
	for _, same := range []string{
		"4111111111111112",    // check digit
		"1234567890123452",    // nobody's
		"4111 1111-1111 1111", // mixed separators
		"4111  1111 1111 1111", "41 11 11 11 11 11 11 11", "a4111111111111111", "4111111111111111f", "0.4111111111111111", "4111111111111111.5",
		"411111111111", "41111111111111111111111", "1700000000000 1700000000000000 1700000000000000000", "2024-01-02 10:11:12.123456 512 4096 8192 16384",
	} {
		good(same, same)
	}
}

func TestEmails(t *testing.T) {
	good := func(text, want string) {
		t.Helper()
		check(t, secret.Emails, text, want)
	}
	good("from ann@example.org to <bob.b+tag@mail.example.co.uk>.", "from # to <#>.")
	good("a@b@c.com", "a@#")
	good("x@y.com@z.com", "#@z.com")
	good("\nann@example.org\n", "\n#\n")
	good("ann@example.org.", "#.")
	good(`"\nann@example.org"`, `"#"`) // half an escape would be no JSON
	good(`"\\nann@example.org"`, `"\\#"`)
	good("ann@example.org.1", "#.1")
	for _, same := range []string{"@", "a@", "@b.com", "a@localhost", "a@b.c", "pkg@1.2.3", "a @b.com", "user@10.0.0.1", "a@.com"} {
		good(same, same)
	}
}

func TestNames(t *testing.T) {
	for _, name := range secret.Names() {
		if k, ok := secret.Named(name); !ok || k.String() != name {
			t.Errorf("%s is %v, %v", name, k, ok)
		}
	}
	if _, ok := secret.Named("card"); ok {
		t.Error("there is a card")
	}
}

func TestIsName(t *testing.T) {
	for name, want := range map[string]bool{"password": true, "password.old": true, "a.token.b": true, ".": false, "a.b": false, "db_PASSWORD": true, "apiKey": true, "key": false, "monkey": false, "": false, "d": false, "tokens": false} {
		if secret.IsName([]byte(name)) != want {
			t.Errorf("IsName(%q) = %v", name, !want)
		}
	}
}

// TestLinear: what is made to be slow takes no longer than other text. Were it quadratic
// this would not end.
func TestLinear(t *testing.T) {
	for _, piece := range []string{"sk-", "eyJ-", "eyJ.", "ghp_", "github_pat_", "a://b:c", "://", "=", ":", "password=", `password="`, `password=\"`, "a@", "@", "a.", "1-", "4111 ", "bearer ", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "\\", " ", "secret ", "token : basic ", `"token":[`, `"token":{"`, `\"token\":[\"`, `\nann@`, `\\`} {
		text := []byte(strings.Repeat(piece, 1<<17/len(piece)))
		for _, name := range secret.Names() {
			k, _ := secret.Named(name)
			k.May(text)
			k.Append(nil, text)
			k.Append(nil, slices.Concat([]byte("x@"), text))
		}
	}
}

const nginxLine = `172.18.0.5 - - [21/Nov/2026:05:06:07 +0000] "GET /api/v2/items/8c1d?page=3&sort=price HTTP/1.1" 200 5123 "https://shop.example.com/catalogue?ref=mail" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36" rt=0.042 uct="0.000" urt="0.041"`

func TestNoAllocations(t *testing.T) {
	line := []byte(nginxLine)
	candidate := []byte(`ann@ tokens: token: null, 4111 1111 1111 1112 task-abcdefghijklmnop`)
	places := make([]secret.Place, 0, 8)
	for _, name := range secret.Names() {
		k, _ := secret.Named(name)
		if n := testing.AllocsPerRun(100, func() {
			if k.May(line) {
				t.Errorf("%s: may be in %s", k, line)
			}
			places = k.Append(places[:0], candidate)
		}); n > 0 || len(places) > 0 {
			t.Errorf("%s: %v allocations, %v", k, n, places)
		}
	}
}

func BenchmarkMay(b *testing.B) {
	line := []byte(nginxLine)
	for _, name := range secret.Names() {
		k, _ := secret.Named(name)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(line)))
			for b.Loop() {
				k.May(line)
			}
		})
	}
}
