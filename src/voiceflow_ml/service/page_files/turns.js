// Puts together what a stream says of turns: in pieces, and then better.
const LEAST_S = 0.01;

// Pieces of one speaker that touch are one turn.
export function joined(turns) {
  const merged = [];
  const last = new Map();
  for (const turn of [...turns].sort((a, b) => a.start_s - b.start_s)) {
    const before = last.get(turn.speaker);
    if (before && turn.start_s <= before.end_s + 0.001) {
      before.end_s = Math.max(before.end_s, turn.end_s);
    } else {
      const copy = { ...turn };
      merged.push(copy);
      last.set(turn.speaker, copy);
    }
  }
  return merged;
}

// Of a stretch holds what is said now, and nothing that was said of it before.
export function corrected(turns, stretch) {
  const beside = turns.flatMap((turn) => [
    { ...turn, end_s: Math.min(turn.end_s, stretch.start_s) },
    { ...turn, start_s: Math.max(turn.start_s, stretch.end_s) },
  ]);
  return joined([...beside.filter((turn) => turn.end_s - turn.start_s >= LEAST_S), ...stretch.turns]);
}
