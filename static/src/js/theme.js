// Runs before the first paint: the chosen theme and palette, kept in this browser.
for (const name of ["theme", "palette"]) {
  try {
    const choice = localStorage.getItem(`hindsight.${name}`);
    if (choice) document.documentElement.dataset[name] = choice;
  } catch {
    // Storage can be forbidden; the system's theme is a good answer then.
  }
}
