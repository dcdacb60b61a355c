// Starts the app in the page that the service worker shows without a network. Nothing was rendered, so nothing is hydrated.

const app = await import("./dashboard.js");
await app.default();
document.body.replaceChildren();
app.mount();
