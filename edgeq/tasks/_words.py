"""Words that questions are made of: common ones, mostly a token each. No name or group is a part of another."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NAMES = _words(
    """
    Alice Ben Carol David Emma Frank George Grace Helen Henry Irene Jack Julia Kate Laura Lucy Mark Martin Nancy
    Oliver Paul Peter Rachel Robert Sarah Simon Susan Tom Victor Walter
    """
)
GROUPS = _words(
    """
    baker dancer doctor farmer fisher gardener hunter lawyer musician painter pilot poet runner sailor singer
    swimmer teacher writer
    """
)
THINGS = _words(
    """
    anchor ankle apple apron arm arrow attic axe baby bacon badge bag bakery ball balloon banana band bank banner
    barn barrel basin basket bat bath beach beam bean bear beard bed bee beetle bell belt bench bike bird blade
    blanket block board boat body bomb bone book boot bottle bow bowl box branch brass bread brick bridge broom
    brush bubble bucket bug bus bush butter button cabin cable cage cake camel camera camp candle cane canoe cap
    cape car card carpet carrot cart castle cat cave ceiling cellar chain chair chalk cheese cherry chest chicken
    chin church circle clay clock cloth cloud clown coach coal coat coin collar comb corn couch cow crab crane cream
    crow crown cube cup curtain cushion dam deck deer desk dice dinner dish doctor dog doll donkey door dragon drain
    drawer dress drum duck dust eagle ear earth egg elbow elephant engine eye fabric face fan farm father feather
    fence field finger fire fish flag flame flask floor flour flower flute fly foot forest fork fox frame frog fruit
    game garage garden gate ghost giant girl glass globe glove glue goat gold goose grain grape grass gun hair
    hammer hand harbor hat hawk head heart hen hill hook horn horse hospital hotel house ice ink iron island jacket
    jar jeans jet jewel juice kettle key king kitchen kite knee knife knot ladder lake lamb lamp lawn leaf leg lemon
    lens letter lid light lily lion lip lizard lock log lunch magnet map marble market mask mast meal meat medal
    melon metal milk mill mirror monkey moon moth mother motor mountain mouse mouth mud mug museum nail neck needle
    nest net nose nurse nut oak oar ocean office oil olive onion orange organ oven owl ox oyster paddle page paint
    palace palm pan paper park parrot path peach pear pearl pen pencil pepper phone piano pie pig pillow pilot pin
    pipe plane plant plate plow plum pocket pond pool pot potato powder prison pump purse queen quilt rabbit radio
    rail rain ranch rat razor ribbon rice ring river road robe robot rock roof room root rope rose rug ruler saddle
    sail salad salt sand sandal sauce saw scale scarf school screw sea seal seat seed shark sheep shelf shell ship
    shirt shoe shop shovel sink skate skin skirt sky sled slipper snail snake snow soap sock sofa soup spade spear
    spider spoon spring square stable stage stair stamp star statue stove straw street sugar suit sun swan sword
    table tail tank tape tea teeth temple tent theater thread throne thumb tiger tire toad toast toe tomato tongue
    tool tower toy tractor train tray tree truck trunk tube turkey turtle valley van vase vest village violin wagon
    wall watch water wave wax web well whale wheat wheel whip whistle window wine wing wire wolf wood wool worm yard
    zebra
    """
)
