"use strict";
// The page comes to life. Work is done in slices, between which the browser draws and answers.

const SLICE = 12;  // milliseconds
const $ = (id) => document.getElementById(id);
const count = (n) => n.toLocaleString("en");

const channel = new MessageChannel(), waiting = [];
channel.port1.onmessage = () => waiting.shift()();
// Let the browser do its own work; a timer would wait for 4 ms more.
const pause = () => new Promise((go) => { waiting.push(go); channel.port2.postMessage(0); });
const frame = () => new Promise((go) => setTimeout(go, 1000 / 60));

function start() {
  const writer = new Writer(), reader = new Reader();
  const answer = (element, kind, what) => $(element).addEventListener(kind, (event) => { event.preventDefault(); what(event); });
  $("temperature").addEventListener("input", showTemperature);
  $("write").addEventListener("invalid", () => { $("rules").open = true; }, true);  // a field that is hidden could not be shown
  showTemperature();  // browsers keep a slider's place when a page is loaded again
  answer("write", "submit", () => writer.begin());
  answer("stop", "click", () => writer.stopOrGoOn());
  answer("copy", "click", () => writer.copy());
  answer("read", "submit", () => reader.read($("given").value));
  answer("take", "click", () => { $("given").value = writer.whole(); reader.read($("given").value); });
  for (const [box, form] of [["beginning", "write"], ["given", "read"]]) $(box).addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $(form).requestSubmit();
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && writer.running) writer.stopOrGoOn(); });
}

function showTemperature() { $("temperature-value").textContent = Number($("temperature").value).toFixed(2); }

let about, weights, vocabulary;
try {
  about = JSON.parse($("about").textContent);
  weights = decodeWeights($("weights").textContent.trim(), about.float16);
  $("weights").remove();
  vocabulary = new Vocabulary(about);
  start();
} catch (error) {
  $("failure").textContent = `The model in this page cannot be read: ${error.message}`;
  $("failure").hidden = false;
}
