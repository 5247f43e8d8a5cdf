// Detects text that was decoded in the wrong encoding. Classes of characters, and the pairs of classes that
// no language has, are ftfy 6.3.1's (ftfy.badness, ftfy.chardata). Escapes are doubled, as the classes
// become parts of regular expressions.

const C1 = "\u0080-\u009f";
const BAD = "¦¤¨¬¯¸ƒˆˇ˘˛˜†‡‰⌐◊\ufffdªº";
const LAW = "¶§";
const CURRENCY = "¢£¥₧€";
const OPENING = "¡«¿©΄΅‘‚“„•‹\uf8ff";
const CLOSING = "®»˝”›™";
const NUMERIC = "²³¹±¼½¾×µ÷⁄∂∆∏∑√∞∩∫≈≠≡≤≥№";
const FACES = "Ò-ÖÙ-Üò-öø-üŐŌŪŲ°";
const UPPER = "À-ÑØÜÝĂĀĄĆČĎĐĘĚĒĖĞĢİĪĶĹĽŁĻŃŇŅŒŘŚŞŠŢŤŮŰŸŹŻŽҐ";
const LOWER = "ßà-ñăąāćčďđęěēėğģįīķĺľłļœŕśşšťüźżžґﬁﬂ";
const UPPER_COMMON = "ÞΑ-ΩΆΈΉΊΌΎΏΪΫЁ-Я";
const LOWER_COMMON = "α-ωάέήίΰа-џ";
const BOX = "│┌┐┘├┤┬┼═-╬▀▄█▌▐░▒▓";
const COMMON = "\u00a0\u00ad·´–—―…’";
/** Python's white space. */
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

const UNLIKELY = new RegExp(
  [
    `[${C1}]`,
    `[${BAD}${LOWER}${UPPER}${BOX}${OPENING}${CLOSING}${CURRENCY}${NUMERIC}${LAW}][${BAD}]`,
    `[a-zA-Z][${LOWER_COMMON}${UPPER_COMMON}][${BAD}]`,
    `[${BAD}][${LOWER}${UPPER}${BOX}${OPENING}${CLOSING}${CURRENCY}${NUMERIC}${LAW}]`,
    `[${LOWER}${LOWER_COMMON}${BOX}${CLOSING}${CURRENCY}${NUMERIC}][${UPPER}]`,
    `[${BOX}${CLOSING}${CURRENCY}${NUMERIC}][${LOWER}]`,
    `[${LOWER}${BOX}${CLOSING}][${CURRENCY}]`,
    `[${SPACE}][${UPPER}][${CURRENCY}]`,
    `[${UPPER}${BOX}][${NUMERIC}${LAW}]`,
    `[${LOWER}${UPPER}${BOX}${CURRENCY}${CLOSING}][${OPENING}][${NUMERIC}]`,
    `[${LOWER}${UPPER}${CURRENCY}${NUMERIC}${BOX}${LAW}][${CLOSING}][${OPENING}]`,
    `[${CURRENCY}${NUMERIC}${BOX}][${OPENING}]`,
    `[a-z][${UPPER}][${OPENING}${CURRENCY}]`,
    `[${BOX}][${FACES}]`,
    `[${LOWER}${UPPER}${CURRENCY}${NUMERIC}${OPENING}${CLOSING}${LAW}][${BOX}]`,
    `[${BOX}][${CLOSING}]`,
    `[${LOWER}${UPPER}][${OPENING}${CLOSING}][\\p{L}\\p{N}_]`,
    `[Œœ][^A-Za-z]`,
    `[${UPPER}]°`,
    `[ÂÃÎÐ][€œŠš¢£Ÿž\u00a0\u00ad®©°·»${OPENING}${CLOSING}–—´]`,
    `×[²³]`,
    `(?:[ØÙ][${COMMON}${CURRENCY}${BAD}${NUMERIC}${OPENING}ŸŠ®°µ»]){2}`,
    `à[²µ¹¼½¾]`,
    `√[±∂†≠®™´≤≥¥µø]`,
    `≈[°¢]`,
    `‚Ä[ìîïòôúùû†°¢π]`,
    `‚[âó][àä°ê]`,
    `вЂ`,
    `[ВГРС][${C1}${BAD}${OPENING}${CLOSING}${CURRENCY}°µ][ВГРС]`,
    `ГўВЂВ[^\\n][A-Za-z ]`,
    `Ã[\u00a0¡]`,
    `[a-z][${SPACE}]?[ÃÂ][ ]`,
    `^[ÃÂ][ ]`,
    `[a-z.,?!${CLOSING}]Â[ ${OPENING}${CLOSING}]`,
    `β€[™\u00a0Ά\u00ad®°]`,
    `[ΒΓΞΟ][${C1}${BAD}${OPENING}${CLOSING}${CURRENCY}°][ΒΓΞΟ]`,
    `ā€`,
  ].join("|"),
  "u",
);

/** Returns whether `text` has adjacent characters that only a wrong decoding explains. */
export function isBad(text: string): boolean {
  return UNLIKELY.test(text);
}

// The characters that UTF-8's bytes become in single-byte encodings, without
// characters that are likely by themselves.
const FIRST_OF_2 =
  "ĂÂÄĀÅÃÆĆČÇĎĐÉĚÊËĖÈĒĘÐĞĢÍÎÏİÌĪĶĹĻŁŃŇŅÑÓÔÖŐÒŌØÕŘŚŠŞŢÞÚÛÜŰÙŪŲŮÝŹŽŻß×ΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΪ" +
  "ΫάέήίВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ";
const FIRST_OF_3 = "áăâäàāąåãæćčçďéěêëėèēęęģíîïìīįķĺļŕźΰαβγδεζηθικλμνξοабвгдежзийклмноп";
const FIRST_OF_4 = "đðğóšπσру";
const CONTINUATION =
  "\u0080-¿ĄÆĽŁØŖŚŠŞŤŸŹŽŻŒąæƒľłøŗśšşťźžżœˆˇ˘˛˜˝΄΅ΆΈΉΊΌΎΏЁЂЃЄЅІЇЈЉЊЋЌЎЏёђѓєѕіїјљњћќўџҐґ†‡‰‹›€№™";
/** Continuation characters, including those that may also stand for themselves. */
const ANY_CONTINUATION = `${CONTINUATION} –—―‘’‚“”„•…`;

/** Matches runs of such sequences, unless a continuation character precedes them. */
export const UTF8_DETECTOR = new RegExp(
  `(?<![${CONTINUATION}])(?:[${FIRST_OF_2}][${ANY_CONTINUATION}]|[${FIRST_OF_3}][${ANY_CONTINUATION}]{2}|` +
    `[${FIRST_OF_4}][${ANY_CONTINUATION}]{3})+`,
  "gu",
);
