// Shows the app when there is no network. With a network it stays out of the way: pages and files come from the server, so
// that nothing of it is ever old. What it keeps is one build, whole or not at all, under addresses that only the page
// without a network uses: files of two builds never meet.
//
// scripts/service_worker.mjs writes the build and its files into the line below, and the result to /sw.js. A new build is
// another script, which the browser sees when it next loads a page.

const KEPT = { build: "none", files: {} };

const CACHE = `shell-${KEPT.build}`;
const SHELL = `/shell/${KEPT.build}`;
/** Addresses of pages; the API's answers are for programs. */
const PAGES = /^\/(?:(?:dashboard|watchlist|quality|quarantine|pipeline|status)(?:\/.*)?)?$/;
/** A page's own policy, without a nonce: it has no script in it. */
const POLICY =
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:; object-src 'none'; base-uri 'none'; " +
  "form-action 'self'; frame-ancestors 'none'";
const PAGE = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="${SHELL}/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="${SHELL}/pkg/stockstream.css">
<script type="module" src="${SHELL}/pkg/shell.js"></script>
<!--HEAD-->
<title>stockstream</title>
</head>
<body><p class="offline-bar" role="status"><strong>OFFLINE</strong></p></body>
</html>
`;

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(keep());
});

self.addEventListener("activate", (event) => event.waitUntil(takeOver()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin) return;
  if (pathname.startsWith("/shell/")) event.respondWith(kept(pathname));
  else if (pathname.startsWith("/fonts/")) event.respondWith(fetch(request).catch(() => kept(SHELL + pathname)));
  else if (request.mode === "navigate" && PAGES.test(pathname)) event.respondWith(page(event));
});

/** Keeps every file as this build has it: one that was exchanged meanwhile has another hash, and then nothing is installed. */
async function keep() {
  const cache = await caches.open(CACHE);
  const one = async ([path, integrity]) => {
    const answer = await fetch(path, { integrity, cache: "no-cache" });
    if (!answer.ok) throw new Error(`${answer.status} for ${path}`);
    // Without the address that it came from, which would be that of the modules it imports.
    const headers = { "content-type": answer.headers.get("content-type") };
    await cache.put(SHELL + path, new Response(answer.body, { headers }));
  };
  await Promise.all(Object.entries(KEPT.files).map(one));
}

/** Forgets other builds, and serves the pages that are open already. */
async function takeOver() {
  const others = (await caches.keys()).filter((name) => name.startsWith("shell-") && name !== CACHE);
  await Promise.all(others.map((name) => caches.delete(name)));
  // Else a page would wait until this script runs.
  await self.registration.navigationPreload?.enable();
  await self.clients.claim();
}

async function kept(path) {
  return (await caches.match(path)) ?? Response.error();
}

/** The server's answer, whatever it is; without one, the page in which the app says so. */
async function page(event) {
  try {
    return (await event.preloadResponse) ?? (await fetch(event.request));
  } catch {
    return new Response(PAGE, { headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": POLICY } });
  }
}
