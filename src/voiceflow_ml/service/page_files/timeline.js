// Draws turns as one lane for each speaker, in the order of their names: a correction may change who spoke first.
const $ = (id) => document.getElementById(id);
const COLOURS = 8;
const LEAST_SPAN_S = 10;
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];

function make(kind, classes, text) {
  const element = document.createElement(kind);
  if (classes) element.className = classes;
  if (text !== undefined) element.textContent = text;
  return element;
}

export function clock(seconds) {
  const whole = Math.floor(seconds / 60);
  return whole ? `${whole}:${String(Math.floor(seconds % 60)).padStart(2, "0")}` : `${Number(seconds.toFixed(1))} s`;
}

function lane(speaker, place, turns, span, heard) {
  const total = turns.reduce((sum, turn) => sum + turn.end_s - turn.start_s, 0);
  const item = make("li");
  const who = make("span", "who", speaker);
  who.append(make("small", "", `${total.toFixed(1)} s`));
  const track = make("div", "track");
  const spoken = turns.slice(0, 20).map((turn) => `${clock(turn.start_s)} to ${clock(turn.end_s)}`);
  const more = turns.length > 20 ? ` and ${turns.length - 20} more` : "";
  track.setAttribute("role", "img");
  track.setAttribute("aria-label", `${speaker} speaks ${total.toFixed(1)} s: ${spoken.join(", ")}${more}`);
  for (const turn of turns) {
    const bar = make("span", `turn s${place % COLOURS}`);
    bar.style.left = `${(100 * turn.start_s) / span}%`;
    bar.style.width = `${(100 * (turn.end_s - turn.start_s)) / span}%`;
    bar.title = `${speaker}, ${clock(turn.start_s)} to ${clock(turn.end_s)}`;
    track.append(bar);
  }
  if (heard !== null) {
    const mark = make("span", "heard");
    mark.style.left = `min(100% - 2px, ${(100 * heard) / span}%)`;
    track.append(mark);
  }
  item.append(who, track);
  return item;
}

function ticks(span) {
  const most = window.innerWidth < 560 ? 5 : 10;
  const step = STEPS_S.find((seconds) => span / seconds <= most) || span / most;
  const marks = [];
  for (let at = 0; at < span - step / 3; at += step) marks.push(at);
  return [...marks, span].map((at) => {
    const mark = make("span", "", clock(at));
    mark.style.left = `${(100 * at) / span}%`;
    return mark;
  });
}

export function drawTimeline(turns, heard, live) {
  const span = live ? Math.max(LEAST_SPAN_S, heard) : Math.max(heard, 0.1);
  const speakers = [...new Set(turns.map((turn) => turn.speaker))].sort();
  $("lanes").replaceChildren(
    ...speakers.map((speaker, place) =>
      lane(speaker, place, turns.filter((turn) => turn.speaker === speaker), span, live ? heard : null),
    ),
  );
  $("ticks").replaceChildren(...(speakers.length ? ticks(span) : []));
  $("empty").hidden = speakers.length > 0;
  $("empty").textContent = heard > 0 ? `No speech in ${clock(heard)} so far.` : "Nothing heard yet.";
  $("words").hidden = live || speakers.length === 0;
  $("turns").replaceChildren(
    ...(live ? [] : turns).map((turn) => {
      const row = make("tr");
      row.append(make("td", "", turn.speaker), make("td", "", turn.start_s.toFixed(2)), make("td", "", turn.end_s.toFixed(2)));
      return row;
    }),
  );
}
