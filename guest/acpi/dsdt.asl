/* SPDX-License-Identifier: MIT */
/*
 * The guest's DSDT: what cannot be found by probing. Numbers are those of guest/dev/layout.h, vacpi.h and vpci.h.
 * Everything here is the same for every guest; what depends on the VM (CPUs, memory) is in the MADT and the E820 map.
 */
DefinitionBlock ("dsdt.aml", "DSDT", 2, "LETHE ", "LETHE   ", 1)
{
	/* Soft-off: SLP_TYP 5 (VACPI_S5). There are no other sleep states. */
	Name (\_S5, Package () { 5, 5, 0, 0 })

	/* The interrupt model that the OS has chosen: 0 PIC, 1 APIC. */
	Name (PICM, 0)
	Method (\_PIC, 1)
	{
		PICM = Arg0
	}

	Scope (\_SB)
	{
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A03"))
			Name (_UID, 0)
			Name (_BBN, 0)
			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0, 0, 1)
				IO (Decode16, 0x0cf8, 0x0cf8, 1, 8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0x0000, 0x0cf7, 0, 0x0cf8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0x0d00, 0xffff, 0, 0xf300)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
					0, 0x000a0000, 0x000bffff, 0, 0x00020000)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
					0, 0xc0000000, 0xfebfffff, 0, 0x3ec00000)
			})

			/* INTA# of slot s arrives at line s mod 4, the other pins at the lines after it. Line n is
			 * pin 16 + n of the I/O APIC, and IRQ 10 or 11 of the 8259 by turns. One function makes
			 * both tables: 16 slots of 4 pins. */
			Method (PRT, 1, Serialized)
			{
				Local0 = Package (64) {}
				Local1 = 0
				While (Local1 < 64)
				{
					Local2 = Package (4) { 0xffff, 0, 0, 0 }
					Local3 = ((Local1 >> 2) + Local1) & 3
					Local2[0] = ((Local1 >> 2) << 16) | 0xffff
					Local2[1] = Local1 & 3
					If (Arg0)
					{
						Local2[3] = Local3 + 16
					}
					Else
					{
						Local2[3] = (Local3 & 1) + 10
					}
					Local0[Local1] = Local2
					Local1++
				}
				Return (Local0)
			}
			Method (_PRT, 0)
			{
				Return (PRT (PICM))
			}
		}

		/* Ports that no device below owns: PM registers, ELCR, the reset and debug ports. */
		Device (MBRD)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0600, 0x0600, 1, 0x0c)
				IO (Decode16, 0x04d0, 0x04d0, 1, 0x02)
				IO (Decode16, 0x0080, 0x0080, 1, 0x01)
				IO (Decode16, 0x0092, 0x0092, 1, 0x01)
			})
		}
		Device (PIC)
		{
			Name (_HID, EisaId ("PNP0000"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0020, 0x0020, 1, 2)
				IO (Decode16, 0x00a0, 0x00a0, 1, 2)
				IRQNoFlags () { 2 }
			})
		}
		Device (TIMR)
		{
			Name (_HID, EisaId ("PNP0100"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0040, 0x0040, 1, 4)
				IRQNoFlags () { 0 }
			})
		}
		Device (RTC)
		{
			Name (_HID, EisaId ("PNP0B00"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0070, 0x0070, 1, 2)
				IRQNoFlags () { 8 }
			})
		}
		Device (SPKR)
		{
			Name (_HID, EisaId ("PNP0800"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0061, 0x0061, 1, 1)
			})
		}
		Device (KBD)
		{
			Name (_HID, EisaId ("PNP0303"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0060, 0x0060, 1, 1)
				IO (Decode16, 0x0064, 0x0064, 1, 1)
				IRQNoFlags () { 1 }
			})
		}
		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x03f8, 0x03f8, 1, 8)
				IRQNoFlags () { 4 }
			})
		}
	}
}
