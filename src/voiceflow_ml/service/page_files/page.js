// Wires the page: a file or the microphone in, turns, latency and versions out.
import { answersOf } from "./latency.js";
import { drawTimeline } from "./timeline.js";
import { followModel } from "./versions.js";
import { streamFile, streamMicrophone } from "./stream.js";

const $ = (id) => document.getElementById(id);
const answers = answersOf();
let running = null;

function say(error) {
  $("error").textContent = error ? String(error.message || error) : "";
  $("error").hidden = !error;
}

function busy(stop) {
  running = stop;
  $("stop").hidden = !stop;
  for (const id of ["file", "microphone", "live", "speakers"]) $(id).disabled = Boolean(stop);
  document.querySelector(".button").classList.toggle("off", Boolean(stop));
}

async function whole(file) {
  const control = new AbortController();
  busy(() => control.abort());
  drawTimeline([], 0, false);
  $("about").textContent = `sending ${file.name} …`;
  const begun = performance.now();
  const known = $("speakers").value;
  const answer = await fetch(known ? `v1/diarize?speakers=${known}` : "v1/diarize", {
    method: "POST",
    body: file,
    headers: { "Content-Type": file.type || "audio/wav", Accept: "application/json" },
    signal: control.signal,
  });
  const document = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(document.error || `The server answered ${answer.status}.`);
  const took = (performance.now() - begun) / 1000;
  drawTimeline(document.turns, document.duration_s, false);
  $("about").textContent =
    `${file.name}: ${document.duration_s.toFixed(1)} s of sound in ${took.toFixed(2)} s, by version ${document.version}`;
}

// What a stream tells, shown as it comes.
function listener(name) {
  return {
    ready(ready) {
      answers.clear();
      drawTimeline([], 0, true);
      const mended = ready.corrected_for_s > 0 ? `, names corrected for ${ready.corrected_for_s} s` : "";
      $("about").textContent = `${name}: live, by version ${ready.version}, ${ready.latency_s} s behind${mended}`;
    },
    heard(turns, heard, milliseconds) {
      answers.add(milliseconds);
      drawTimeline(turns, heard, true);
    },
    done(turns, heard) {
      drawTimeline(turns, heard, false);
      $("about").textContent = $("about").textContent.replace("live", "ended");
    },
  };
}

async function run(work) {
  if (running) return;
  say(null);
  try {
    await work();
  } catch (error) {
    if (error.name !== "AbortError") say(error);
    $("about").textContent = "";
  } finally {
    busy(null);
  }
}

const takeFile = (file) => run(() => ($("live").checked ? streamFile(file, listener(file.name), busy) : whole(file)));

$("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) takeFile(file);
  event.target.value = "";
});
$("microphone").addEventListener("click", () => run(() => streamMicrophone(listener("Microphone"), busy)));
$("stop").addEventListener("click", () => running && running());
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind !== "drop") return;
    const [file] = event.dataTransfer.files;
    if (file) takeFile(file);
    else say("That was no file; drop a recording such as a WAV.");
  });
}
followModel(answers);
