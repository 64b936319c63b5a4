package demo

const (
	lowerHex = "0123456789abcdef"
	upperHex = "0123456789ABCDEF"
)

// endings say how often, out of a thousand requests, one ends otherwise than in 200: those
// drawn below the first number get the first status, and so on.
var endings = [...]struct{ below, status int }{
	{60, 304}, {98, 404}, {118, 301}, {128, 302}, {135, 500}, {141, 502}, {143, 503}, {145, 504},
	{150, 401}, {155, 403}, {158, 429}, {161, 499},
}

var (
	apiMethods  = [...]string{"GET", "GET", "GET", "GET", "GET", "GET", "POST", "POST", "PUT", "DELETE"}
	resources   = [...]string{"products", "customers", "orders", "baskets", "recommendations", "prices"}
	pages       = [...]string{"/", "/about/", "/products/", "/category/shoes/", "/blog/2026/11/", "/account/orders/"}
	words       = [...]string{"red", "winter", "running", "shoes", "leather", "umbrella", "backpack", "kids", "sale", "waterproof"}
	users       = [...]string{"alice", "bob", "deploy", "monitoring"}
	networks    = [...]string{"203.0.", "198.51.", "192.0.", "100.64.", "172.16."}
	cacheStates = [...]string{"-", "-", "-", "MISS", "MISS", "BYPASS", "EXPIRED", "STALE"}
)

// assets are the names of built files, around the digest that is part of them.
var assets = [...]struct{ stem, ending string }{
	{"/static/js/app", ".js"}, {"/static/js/vendor", ".js"}, {"/static/css/main", ".css"},
	{"/media/products/large/item", ".webp"}, {"/media/banner", ".webp"}, {"/static/fonts/inter", ".woff2"},
}

var agents = [...]string{
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
	"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
	"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
	"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
	"Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
	"shop-app/4.12.1 (Android 14; build 8812) okhttp/4.12.0",
	"curl/8.14.1",
}
