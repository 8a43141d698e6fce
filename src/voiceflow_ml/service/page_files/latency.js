// P50 and P99 of the last answers, as nearest ranks, beside the limit.
const $ = (id) => document.getElementById(id);
const KEPT = 500;
const FEWEST_FOR_P99 = 100;

export function nearestRank(values, quantile) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(quantile * sorted.length - 1e-9) - 1)];
}

export function answersOf() {
  let values = [];
  let limit = null;

  function show() {
    $("limit").textContent = limit === null ? "–" : `${limit} ms`;
    // Of fewer than a hundred answers the P99 is their slowest, and says so.
    $("tail-name").textContent = values.length && values.length < FEWEST_FOR_P99 ? "slowest" : "P99";
    if (!values.length) {
      $("p50").textContent = $("p99").textContent = "–";
      $("judged").textContent = "no answer yet";
      $("bar").style.width = "0";
      return;
    }
    const tail = nearestRank(values, 0.99);
    $("p50").textContent = `${nearestRank(values, 0.5).toFixed(1)} ms`;
    $("p99").textContent = `${tail.toFixed(1)} ms`;
    if (limit === null) return;
    const over = values.filter((value) => value > limit).length;
    $("judged").textContent = `${over} of the last ${values.length} over the limit`;
    $("bar").style.width = `${Math.min(100, (tail / limit) * 66.6)}%`;
    $("bar").classList.toggle("over", tail > limit);
  }

  return {
    add(milliseconds) {
      values = [...values.slice(1 - KEPT), milliseconds];
      show();
    },
    clear() {
      values = [];
      show();
    },
    hold(milliseconds) {
      limit = milliseconds;
      show();
    },
  };
}
