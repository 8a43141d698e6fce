// Follows the version that serves, and shows the last changes and refusals.
const $ = (id) => document.getElementById(id);
const EVERY_MS = 1000;
const SHOWN = 5;

const WORDS = {
  loaded: (swap) => `${swap.after} serves`,
  canary: (swap) => `${swap.subject} is tried on a share of the requests`,
  promoted: (swap) => `${swap.after} serves, after it was tried`,
  "rolled-back": (swap) => `${swap.subject} was taken back; ${swap.after} serves`,
  "rolled-back-by-rule": (swap) => `${swap.subject} was taken back: ${swap.reason}`,
  refused: (swap) => `refused (${swap.code}): ${swap.reason}`,
};

function line(swap) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.dateTime = swap.when;
  time.textContent = new Date(swap.when).toLocaleTimeString();
  item.append(time, (WORDS[swap.kind] || (() => swap.kind))(swap));
  item.classList.toggle("refused", swap.kind === "refused" || swap.kind === "rolled-back-by-rule");
  return item;
}

function show(model) {
  const { version, canary, canary_share: share } = model.status;
  const text = canary ? `${version}, and ${canary} for ${Math.round(share * 100)} %` : version;
  if ($("version").textContent && $("version").textContent !== text) {
    // Removed and added again, so that the next change is seen as well.
    $("served").classList.remove("changed");
    requestAnimationFrame(() => $("served").classList.add("changed"));
  }
  if ($("version").textContent !== text) $("version").textContent = text;
  if ($("model").textContent !== model.name) $("model").textContent = model.name;
  $("state").className = "dot up";
  const swaps = model.swaps.slice(-SHOWN).reverse();
  const key = swaps.map((swap) => swap.number).join();
  if ($("swaps").dataset.key !== key) {
    $("swaps").dataset.key = key;
    $("swaps").replaceChildren(...swaps.map(line));
  }
}

async function read(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
  return answer.json();
}

export function followModel(answers) {
  async function look() {
    try {
      const page = await read("page.json");
      answers.hold(page.limit_ms);
      show(await read(`v2/models/${encodeURIComponent(page.model)}`));
    } catch {
      $("state").className = "dot down";
      $("version").textContent = "";
      $("model").textContent = "The server does not answer.";
    }
    setTimeout(look, EVERY_MS);
  }
  look();
}
