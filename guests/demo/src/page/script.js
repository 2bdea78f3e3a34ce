const start = document.getElementById("start");
const output = document.getElementById("stream");
// Without a script the page still works: the stream is then a link.
if (start) {
  start.hidden = false;
  start.addEventListener("click", async () => {
    start.disabled = true;
    output.textContent = "";
    try {
      const response = await fetch("stream");
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        output.append(value);
      }
    } catch (error) {
      output.append("the stream broke off: " + error.message);
    }
    start.disabled = false;
    start.textContent = "Again";
  });
}
