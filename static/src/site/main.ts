// What document pages gain from JavaScript; each of them works without it.
import "../styles/index.css";
import { bindFilterForms } from "./filters";
import { bindOpeners } from "./details";
import { bindMenus } from "./menus";
import { bindNotices } from "./notices";
import { bindPrinting } from "./print";
import { bindSubmits } from "./submits";
import { bindPasskeyForms } from "./passkeys";
import { bindThemeSwitch } from "./theme";
import { adoptToasts } from "./toasts";

bindThemeSwitch();
bindMenus();
bindFilterForms();
bindOpeners();
bindPrinting();
bindSubmits();
bindPasskeyForms();
adoptToasts();
bindNotices();
