/* Gives pseudoterminals the modem lines that they have not: RTS comes back as CTS, DTR as DSR and DCD. What is set is
   written to the file SERIAL_LOG. With SERIAL_STUCK output never drains until it is discarded. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static int driven = TIOCM_DTR | TIOCM_RTS;
static volatile int discarded = 0;

static void say(const char *words) {
  int fd = open(getenv("SERIAL_LOG"), O_WRONLY | O_APPEND | O_CREAT, 0600);
  if (write(fd, words, strlen(words)) < 0) abort();
  close(fd);
}

int ioctl(int fd, unsigned long request, ...) {
  static int (*real)(int, unsigned long, ...);
  va_list list;
  va_start(list, request);
  void *argument = va_arg(list, void *);
  va_end(list);
  if (real == NULL) real = (int (*)(int, unsigned long, ...)) dlsym(RTLD_NEXT, "ioctl");
  switch (request) {
    case TIOCMGET:
      *(int *) argument = driven | (driven & TIOCM_RTS ? TIOCM_CTS : 0) | (driven & TIOCM_DTR ? TIOCM_DSR | TIOCM_CD : 0);
      return 0;
    case TIOCMSET: {
      char words[32];
      driven = *(int *) argument & (TIOCM_DTR | TIOCM_RTS);
      snprintf(words, sizeof words, "dtr %d rts %d\n", !!(driven & TIOCM_DTR), !!(driven & TIOCM_RTS));
      say(words);
      return 0;
    }
    case TIOCSBRK:
      say("break\n");
      return 0;
    case TIOCCBRK:
      say("no break\n");
      return 0;
    default:
      return real(fd, request, argument);
  }
}

int tcflush(int fd, int queue) {
  static int (*real)(int, int);
  if (real == NULL) real = (int (*)(int, int)) dlsym(RTLD_NEXT, "tcflush");
  if (queue != TCIFLUSH) discarded = 1;
  return real(fd, queue);
}

int tcdrain(int fd) {
  (void) fd;
  if (getenv("SERIAL_STUCK") == NULL) return 0;
  discarded = 0;
  say("drain\n");
  while (!discarded) usleep(1000);
  say("drained\n");
  return 0;
}
