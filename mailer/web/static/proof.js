// Puts the proof-of-work widget into the page that asks for it. Where this does not run, the page offers to wait instead.
const place = document.getElementById("proof");

if (isSecureContext && window.Worker) {
  await import("./altcha/altcha.min.js");
  const { algorithms, i18n } = globalThis.$altcha;
  algorithms.set("PBKDF2/SHA-256", () => new Worker(new URL("./altcha/pbkdf2.js", import.meta.url)));
  i18n.set(document.documentElement.lang, JSON.parse(place.dataset.words));

  const widget = document.createElement("altcha-widget");
  widget.setAttribute("auto", "onload");
  widget.setAttribute("challenge", place.dataset.challenge);
  widget.setAttribute("language", document.documentElement.lang);
  widget.setAttribute("configuration", JSON.stringify({ hideFooter: true, hideLogo: true, humanInteractionSignature: false }));
  place.append(widget);
  document.getElementById("wait").hidden = true;
}
