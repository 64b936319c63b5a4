"use strict";
// Every few seconds the page fetches itself and swaps what it shows, unless nobody looks
// or text is being selected.
setInterval(async () => {
  if (document.hidden || String(getSelection())) return;
  try {
    const answer = await fetch(location.pathname, { headers: { Accept: "text/html" }, cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.querySelector("main");
    for (const part of next.querySelectorAll("details")) {
      const shown = document.getElementById(part.id);
      if (shown) part.open = shown.open;
    }
    const focus = document.activeElement && document.activeElement.id;
    document.querySelector("main").replaceWith(next);
    if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
    document.title = page.title;
    document.body.classList.remove("stale");
  } catch {
    document.body.classList.add("stale");
  }
}, 5000);
