// A redirect keeps the fragment of the address that was asked for; a form would lose which segment that names.
const form = document.querySelector("form");
form.action = "sign-in" + location.hash;
