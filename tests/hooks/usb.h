/* SPDX-License-Identifier: MIT */
#ifndef HOOKS_USB_H
#define HOOKS_USB_H

/* With the option hook=usb: the xHCI controller goes on as firmware's driver has left it, and shows that it
 * does. */
void usb_goes_on(void);
/* It has another event to tell. Nothing where usb_goes_on() found none. */
void usb_has_news(void);

#endif
