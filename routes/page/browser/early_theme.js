// Applies the remembered colour theme before the first paint; theme_button.js changes it.
try {
  const theme = localStorage.getItem("theme");
  if (theme) document.documentElement.dataset["theme"] = theme;
} catch {
  // Storage is switched off: the system's theme it is.
}
