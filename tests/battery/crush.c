/* TestU01 (L'Ecuyer and Simard 2007) on the words of standard input, 32 bits each: see docs/trust.md.

       gcc -O2 tests/battery/crush.c -ltestu01 -lprobdist -lmylib -lm -o build/crush
       python tests/battery/words.py elements | build/crush crush

   The batteries are small, crush and big. They look at upper bits above all; `reversed` after the name mirrors each word. */
#include <TestU01.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t words[1 << 16];
static size_t at, have;

static uint32_t mirrored(uint32_t word) {
  word = (word >> 1 & 0x55555555) | (word & 0x55555555) << 1;
  word = (word >> 2 & 0x33333333) | (word & 0x33333333) << 2;
  word = (word >> 4 & 0x0F0F0F0F) | (word & 0x0F0F0F0F) << 4;
  return __builtin_bswap32(word);
}

static unsigned int next_word(void) {
  if (at == have) {
    have = fread(words, sizeof *words, sizeof words / sizeof *words, stdin);
    at = 0;
    if (!have) {
      fputs("crush: the words have come to an end\n", stderr);
      exit(1);
    }
  }
  return words[at++];
}

static unsigned int next_mirrored(void) { return mirrored(next_word()); }

int main(int count, char** arguments) {
  const char* battery = count > 1 ? arguments[1] : "";
  const int reversed = count == 3 && !strcmp(arguments[2], "reversed");
  void (*run)(unif01_Gen*) = !strcmp(battery, "small")   ? bbattery_SmallCrush
                             : !strcmp(battery, "crush") ? bbattery_Crush
                             : !strcmp(battery, "big")   ? bbattery_BigCrush
                                                         : NULL;
  if (!run || count > 3 || (count == 3 && !reversed)) {
    fputs("usage: crush {small|crush|big} [reversed]\n", stderr);
    return 2;
  }
  swrite_Basic = FALSE;
  unif01_Gen* words_of_input = unif01_CreateExternGenBits("words", reversed ? next_mirrored : next_word);
  run(words_of_input);
  unif01_DeleteExternGenBits(words_of_input);
  return 0;
}
