"""Values ⇄ bytes: the formats of PROTOCOL.md, declared with construct.

Declarations (`hop_schema`, `im_schema`) are the normative format. The hot frames have a
``struct`` codec beside them (`packet`, `frames`, `im_codec`), proven equal by the tests.
"""
