"use strict";
const samples = [...document.querySelectorAll(".sample")];
const slider = document.querySelector("input[type=range]");
const play = document.querySelector("button");
const said = document.querySelector("output");
const stage = document.querySelector(".stage");
const points = [...document.querySelectorAll("svg [id$=samples]")].map((group) => [...group.querySelectorAll("use")]);
let timer = 0;

function show(i) {
  slider.value = i;
  samples.forEach((sample, j) => sample.classList.toggle("now", i === j));
  for (const uses of points) uses.forEach((use, j) => use.classList.toggle("now", i === j));
  said.textContent = samples[i].querySelector("h2").textContent;
  slider.setAttribute("aria-valuetext", said.textContent);
}

function stop() {
  clearInterval(timer);
  timer = 0;
  play.textContent = "Play";
  stage.setAttribute("aria-live", "polite");
}

function start() {
  stage.removeAttribute("aria-live"); // a passage that is read aloud takes longer than it is shown
  play.textContent = "Pause";
  if (+slider.value === samples.length - 1) show(0);
  timer = setInterval(() => {
    show(+slider.value + 1);
    if (+slider.value === samples.length - 1) stop();
  }, Math.max(60, Math.min(900, 20000 / samples.length)));
}

document.documentElement.classList.add("js");
slider.addEventListener("input", () => {
  if (timer) stop();
  show(+slider.value);
});
play.addEventListener("click", () => (timer ? stop() : start()));
document.addEventListener("keydown", (event) => {
  if (event.target !== play && event.key === " ") {
    event.preventDefault();
    play.click();
  } else if (event.target === document.body && ["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) {
    event.preventDefault();
    if (timer) stop();
    const last = samples.length - 1, now = +slider.value;
    show({ ArrowLeft: Math.max(0, now - 1), ArrowRight: Math.min(last, now + 1), Home: 0, End: last }[event.key]);
  }
});
for (const uses of points) uses.forEach((use, i) => use.addEventListener("click", () => { if (timer) stop(); show(i); }));
stop();
show(0);
