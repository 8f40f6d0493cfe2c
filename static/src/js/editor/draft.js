// What was typed and never saved, kept in this browser until it is saved or thrown away.

const keyOf = (id) => `hindsight.draft.${id}`;

export function keepDraft(id, text, basedOn) {
  try {
    localStorage.setItem(keyOf(id), JSON.stringify({ text, basedOn, at: Date.now() }));
  } catch {
    // Storage can be full or forbidden; the warning on leaving the page remains.
  }
}

export function readDraft(id) {
  try {
    const draft = JSON.parse(localStorage.getItem(keyOf(id)));
    return typeof draft?.text === "string" ? draft : null;
  } catch {
    return null;
  }
}

export function dropDraft(id) {
  try {
    localStorage.removeItem(keyOf(id));
  } catch {
    // See above.
  }
}
