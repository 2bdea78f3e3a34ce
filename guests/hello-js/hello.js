// `hello-js`: an answer over wasi:http 0.2, from SpiderMonkey inside the component, written as a service worker.

addEventListener("fetch", (event) => {
  event.respondWith(new Response("Hello from JavaScript!\n", { headers: { "content-type": "text/plain" } }));
});
